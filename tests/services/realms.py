"""A realm on each kind of database: two gateways that share a secret and a public URL, in front of one crud."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness.postgres import PostgresDatabases
from tests.harness.secrets import MASTER_KEY
from tests.harness.system import running_crud
from tests.services.commands import run
from tests.services.edge_gateways import running_gateway
from tests.services.logins import Realm, administering

LEASE = 0.5
PUBLIC_URL = "https://api.example.org"
GATEWAY = {
    "SARVANOM_LEASE_SECONDS": str(LEASE),
    "SARVANOM_PUBLIC_URL": PUBLIC_URL,
    "SARVANOM_TRUSTED_PROXIES": "127.0.0.1",
}


@contextmanager
def running_realm(folder: Path, database_url: str | None = None, gateways: int = 2, **settings: str) -> Iterator[Realm]:
    """Run crud and gateways; the database is a file in the folder unless another is named."""
    of_crud = {}
    if database_url is not None:
        of_crud = {"SARVANOM_DATABASE_URL": database_url, "SARVANOM_MASTER_KEYS": MASTER_KEY}
        assert run(["migrate"], folder, of_crud).returncode == 0
    with ExitStack() as stack:
        crud = stack.enter_context(running_crud(folder, **of_crud))
        running = []
        for number in range(gateways):
            (folder / f"gateway-{number}").mkdir()
            place = folder / f"gateway-{number}"
            running.append(stack.enter_context(running_gateway(place, crud.crud_port, **{**GATEWAY, **settings})))
        client = stack.enter_context(administering(running[0].gateway_url))
        yield Realm(crud, running, client)


@contextmanager
def realm_on(kind: str, folder: Path, postgres: PostgresDatabases | None) -> Iterator[Realm]:
    """Run a realm over `sqlite` or `postgres`."""
    url = None if postgres is None else postgres.create_database()
    with running_realm(folder, url) as realm:
        yield realm
    if postgres is not None and url is not None:
        postgres.drop_database(url)
