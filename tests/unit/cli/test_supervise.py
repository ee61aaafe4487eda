"""From specifications to workers: sockets, URLs and environments."""

import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from sarvanom.cli import supervisor as supervisor_module
from sarvanom.cli.sockets import listen
from sarvanom.cli.supervisor import Announce, ServiceSpec, Worker, supervise, url_of
from sarvanom.settings import CrudSettings, UpSettings


class Noting:
    """Stands in for the supervisor and notes what it was given."""

    given: Sequence[Any] = ()

    def __init__(
        self,
        workers: Sequence[Worker],
        urls: Sequence[str],
        stop_seconds: float,
        listeners: Mapping[str, socket.socket],
    ) -> None:
        assert {worker.service for worker in workers} == set(listeners)
        Noting.given = (workers, urls, stop_seconds)

    async def run(self, announce: Announce) -> int:
        announce([])
        return 7


@pytest.fixture(autouse=True)
def _noting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "Supervisor", Noting)


CRUD, GATEWAY = ServiceSpec("crud", "127.0.0.1", 0), ServiceSpec("gateway", "127.0.0.1", 0)


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Close the sockets that `supervise` leaves to the end of its process."""
    opened: list[Any] = []

    def note(host: str, port: int) -> Any:
        opened.append(listen(host, port))
        return opened[-1]

    monkeypatch.setattr(supervisor_module, "listen", note)
    yield opened
    for one in opened:
        one.close()


def test_both_services_share_settings_and_the_gateway_learns_where_crud_is(listened: list[Any]) -> None:
    settings = UpSettings.load(workers=2, stop_seconds=4)
    announced: list[Sequence[str]] = []
    assert supervise([CRUD, GATEWAY], settings, announced.append) == 7
    workers, urls, stop_seconds = Noting.given
    ports = [one.getsockname()[1] for one in listened]
    assert (urls, stop_seconds, announced) == ([f"http://127.0.0.1:{port}" for port in ports], 4, [[]])
    assert [worker.service for worker in workers] == ["crud", "crud", "gateway", "gateway"]
    descriptors = [one.fileno() for one in listened]
    assert [worker._descriptor for worker in workers] == [d for d in descriptors for _ in range(2)]
    for worker in workers:
        assert worker._environment.get("SARVANOM_CRUD_URLS") == (urls[0] if worker.service == "gateway" else None)
        assert worker._environment["SARVANOM_WORKERS"] == "2"
        assert "PATH" in worker._environment


def test_each_service_is_handed_its_own_settings_alone(listened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "MASTER_KEYS", "DATABASE_URL", "VALKEY_URL", "INTERNAL_SECRET", "ELSE"):
        monkeypatch.setenv(f"SARVANOM_{name}", f"postgresql://{name.lower()}-0123456789-0123456789-0123456789")
    monkeypatch.setenv("sarvanom_valkey_url", "valkey://other")
    settings = UpSettings.load(
        valkey_url="valkey://:p@h", admin_key="sk-" + "Zt9Yd3Lc7Pf5Ng0Xw6Ls0Rt5Yb2Hd9Jm", internal_secret=None, dev=True
    )
    supervise([CRUD, GATEWAY], settings, lambda _: None)
    crud, gateway = ({name.upper() for name in worker._environment} for worker in Noting.given[0])
    assert {"SARVANOM_ADMIN_KEY", "SARVANOM_MASTER_KEYS", "SARVANOM_DATABASE_URL", "SARVANOM_INTERNAL_SECRET"} <= crud
    assert not {"SARVANOM_VALKEY_URL", "SARVANOM_API_KEY", "SARVANOM_ELSE", "SARVANOM_OIDC_ISSUERS"} & crud
    assert {"SARVANOM_VALKEY_URL", "SARVANOM_INTERNAL_SECRET", "SARVANOM_DATA_DIR", "PATH"} <= gateway
    assert not {"SARVANOM_ADMIN_KEY", "SARVANOM_MASTER_KEYS", "SARVANOM_DATABASE_URL", "SARVANOM_API_KEY"} & gateway


def test_service_alone_leaves_the_urls_of_crud_as_they_are(
    listened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SARVANOM_CRUD_URLS", raising=False)
    supervise([CRUD], CrudSettings.load(), lambda _: None)
    (worker,) = Noting.given[0]
    assert "SARVANOM_CRUD_URLS" not in worker._environment


def test_taken_port_ends_the_command_before_anything_starts(listened: list[Any]) -> None:
    Noting.given = ()
    with closing(listen("127.0.0.1", 0)) as taken:
        spec = ServiceSpec("crud", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(click.ClickException, match="Address already in use"):
            supervise([GATEWAY, spec], UpSettings.load(), lambda _: None)
    assert Noting.given == ()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("db.example", "http://db.example:80"),
    ],
)
def test_url_can_be_called_wherever_the_service_listens(host: str, url: str) -> None:
    assert url_of(host, 80) == url


@pytest.mark.usefixtures("listened")
def test_one_worker_needs_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert supervise([CRUD, GATEWAY], UpSettings.load(), lambda _: None) == 7


@pytest.mark.usefixtures("listened")
@pytest.mark.parametrize("folder", ["absent", "x" * 100])
def test_workers_without_a_folder_to_meet_in_are_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    (tmp_path / ("x" * 100)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    with pytest.raises(click.ClickException, match="TMPDIR"):
        supervise([CRUD, GATEWAY], UpSettings.load(workers=2), lambda _: None)
