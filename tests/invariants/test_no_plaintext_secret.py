"""Invariant 6: no plaintext secret in the database, the logs, the revision log, events, exports or error bodies."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from httpx2 import Client

from sarvanom.backends.storage.contract import Store
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import ROLES, Role
from sarvanom.services.crud.collections import StoredCRUDService
from tests.harness.identity import ADMIN_HEADERS, SignedRequests
from tests.harness.postgres import PostgresDatabases, PostgresServer, running_postgres
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring, sealed
from tests.harness.system import RunningProcess
from tests.invariants.secrets.doors import Doors
from tests.invariants.secrets.needles import Planted, files_below, forms
from tests.services.commands import run
from tests.services.keys import make_key

OPEN: Final = "oPeN0control0text"
"""What is not secret, and must be found by the same search."""
CONTROLS: Final = 6
"""In how many of the ways to read it is to be found: a list, one of fields, lines, changes, an export, a watch."""


@contextmanager
def running(folder: Path, keys: str, **settings: str) -> Iterator[RunningProcess]:
    process = RunningProcess(
        ("up",),
        folder,
        settings={"SARVANOM_MASTER_KEYS": keys, "SARVANOM_LOG_LEVEL": "debug", **settings},
    )
    try:
        process.start(f"{process.gateway_url}/ready")
        yield process
    finally:
        process.stop()


def administrator(process: RunningProcess) -> Client:
    """A client of the gateway that may do and see everything."""
    return Client(base_url=process.gateway_url, timeout=30, headers=ADMIN_HEADERS)


def editor(process: RunningProcess) -> Client:
    """A client of the gateway that may write everything, and see no secret."""
    with administrator(process) as client:
        key = make_key(client, roles=["editor"])["key"]
    return Client(base_url=process.gateway_url, timeout=30, headers={"authorization": f"Bearer {key}"})


def read_everything(client: Client) -> Iterator[bytes]:
    """Yield what can be read: items, past states, changes, lines, an export, what health tells, and a watch."""
    lines = {"accept": "application/x-ndjson"}
    for collection in ("models", "settings"):
        yield client.get(f"/{collection}?limit=1000").content
        yield client.get(f"/{collection}?limit=1000&fields=service,{FIELDS[collection]}").content
        yield client.get(f"/{collection}", headers=lines).content
    begin = since = client.get("/changes?limit=1").json()["metadata"]["oldest_revision"]
    while True:
        page = client.get(f"/changes?since={since}&limit=1000")
        yield page.content
        since = page.json()["metadata"]["next_since"]
        if since >= page.json()["metadata"]["revision"]:
            break
    yield client.get("/export").content
    for path in ("/health/detailed", "/ready", "/version", "/openapi.json", "/cache-stats"):
        yield client.get(path).content
    yield watched(client, begin, since)


FIELDS: Final = {"models": "parameters", "settings": "setting_value"}


def watched(client: Client, since: int, head: int) -> bytes:
    """Return what a watch tells from a revision up to the newest change."""
    text = b""
    with client.stream("GET", f"/changes?since={since}", headers={"accept": "text/event-stream"}) as answer:
        for chunk in answer.iter_bytes():
            text += chunk
            if b"id: %d\nevent" % head in text and text.endswith(b"\n\n"):
                break
    return text


def check_clean(planted: Planted, texts: Iterable[tuple[str, bytes]]) -> int:
    """Assert that no text holds a secret; return how many hold what is not secret."""
    controls = 0
    for name, text in texts:
        assert not planted.found_in(text), name
        controls += OPEN.encode() in text
    return controls


def write_era(process: RunningProcess, planted: Planted, era: str, rounds: int) -> Doors:
    """Write through every door of gateway and crud, and search everything that was answered and can be read."""
    done = Doors(editor(process), planted, f"{era}-gateway")
    at_crud = SignedRequests(Principal("key:editor", ROLES[Role.EDITOR]))
    direct = Doors(Client(base_url=process.crud_url, timeout=30, auth=at_crud), planted, f"{era}-crud")
    with done.client, direct.client, administrator(process) as reader:
        done.client.post("/models", json={"model_name": f"{era}/{OPEN}", "provider": "p", "parameters": {"a": OPEN}})
        done.open_all(rounds)
        direct.open_all(2)
        answers = [*done.answers, *direct.answers]
        assert check_clean(planted, ((str(number), text) for number, text in enumerate(answers))) > 0
        read = list(read_everything(reader))
        assert check_clean(planted, ((str(number), text) for number, text in enumerate(read))) >= CONTROLS
        revealed = reader.get(f"/models/{next(iter(done.models))}?reveal=true")
        assert planted.found_in(revealed.content)  # to who may see it, and nowhere else
    done.models |= direct.models
    done.settings |= direct.settings
    return done


async def check_kept(store: Store, key: str, *eras: Doors) -> None:
    """Assert that with the key every secret is what it was."""
    async with StoredCRUDService(sealed(store, key)) as service:
        for era in eras:
            for id, parameters in era.models.items():
                assert (await service.models.get(id, reveal=True)).parameters == parameters
            for id, value in era.settings.items():
                assert (await service.settings.get(id, reveal=True)).setting_value == value


def rotate(folder: Path, keys: str, **settings: str) -> None:
    """Rotate to the first of two keys, and find nothing left under the other."""
    given = {"SARVANOM_MASTER_KEYS": keys, "SARVANOM_DATA_DIR": str(folder), **settings}
    ran = run(["secrets", "rotate"], folder, given)
    assert ran.returncode == 0, ran
    new, old = keyring(*keys.split(",")).ids
    for table in ("models", "settings", "changes", "idempotency_keys"):
        assert re.search(rf"^{table}: [1-9][0-9,]* values under key {new}, the first$", ran.stdout, re.MULTILINE)
        assert f"{table}: 0 values under key {old}\n" in ran.stdout
    assert "0 values are under another key" in ran.stdout


def texts_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(path), path.read_bytes()) for path in files_below(folder))


def test_the_search_finds_what_is_hidden() -> None:
    planted = Planted()
    secret = planted.secret()
    for form in forms(f"ab{secret}cd"):
        assert planted.found_in(b"...." + form + b"....")
    assert len({planted.secret() for _ in range(100)}) == 100
    assert not planted.found_in(Planted().secret().encode())


def test_an_embedded_store_holds_no_secret_in_plain_over_two_eras(tmp_path: Path) -> None:
    planted = Planted()
    folder = tmp_path / "data"
    folder.mkdir()
    both = f"{OTHER_KEY},{MASTER_KEY}"
    with running(folder, MASTER_KEY) as process:
        first = write_era(process, planted, "first", 7)
        assert check_clean(planted, texts_of(folder)) >= 1  # the database, or its write-ahead log
        assert b'"event":"request"' in process.log.read_bytes()
    with running(folder, both) as process:
        second = write_era(process, planted, "second", 7)
        rotate(folder, both)
        with administrator(process) as client:
            assert check_clean(planted, (("read", text) for text in read_everything(client))) >= CONTROLS
            export = client.get("/export").content
    assert planted.count > 500
    assert check_clean(planted, texts_of(folder)) >= 1
    asyncio.run(check_kept(SQLiteStore(folder / "sarvanom.db"), OTHER_KEY, first, second))
    check_restored(tmp_path / "restored", export, planted, first, second)


def check_restored(folder: Path, export: bytes, planted: Planted, *eras: Doors) -> None:
    """Restore an export, with secrets in plain added to it, and find none."""
    folder.mkdir()
    head, *lines, end = export.splitlines()
    plain = {"api_key": planted.secret(), "nested": [{"token": planted.secret()}]}
    [line] = [json.loads(one) for one in lines if f'"first/{OPEN}"'.encode() in one]
    line["item"]["parameters"] |= plain
    lines = [json.dumps(line).encode() if f'"first/{OPEN}"'.encode() in one else one for one in lines]
    assert all(era.models for era in eras)
    body = b"\n".join([head, *lines, end])
    with running(folder, OTHER_KEY) as process, administrator(process) as client, editor(process) as writer:
        sent = {"content-type": "application/x-ndjson"}
        later = Doors(writer, planted, "later")
        answer = client.post("/import", content=body, headers=sent)
        assert answer.status_code == 200, answer.text
        later.open_all(1)
        check_clean(planted, [("answer", answer.content), *(("read", text) for text in read_everything(client))])
    assert check_clean(planted, texts_of(folder)) >= 1
    eras[0].models[f"first/{OPEN}"] = {"a": OPEN, **plain}
    asyncio.run(check_kept(SQLiteStore(folder / "sarvanom.db"), OTHER_KEY, *eras, later))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server whose files can be searched."""
    with running_postgres(log_statement="all", log_parameter_max_length="-1") as running:
        yield running


def test_a_shared_store_holds_no_secret_in_plain_over_two_eras(tmp_path: Path, server: PostgresServer) -> None:
    """Promoted from a file in the first era, written to in both; the server's own files and log are searched too."""
    planted = Planted()
    folder, both = tmp_path / "data", f"{OTHER_KEY},{MASTER_KEY}"
    folder.mkdir()
    url = server.create_database()
    with running(folder, MASTER_KEY) as process:
        before = write_era(process, planted, "before", 4)
    ran = run(["promote", "--to", url, "--data-dir", str(folder)], tmp_path)
    assert ran.returncode == 0, ran
    database = {"SARVANOM_DATABASE_URL": url}
    with running(folder, MASTER_KEY, **database) as process:
        first = write_era(process, planted, "first", 4)
    with running(folder, both, **database) as process:
        second = write_era(process, planted, "second", 4)
        rotate(folder, both, **database)
        with administrator(process) as client:
            assert check_clean(planted, (("read", text) for text in read_everything(client))) >= CONTROLS
    assert planted.count > 500
    assert check_clean(planted, texts_of(folder)) >= 1
    tables = server_tables(url)
    assert check_clean(planted, tables) >= 2
    server.ask("CHECKPOINT")
    assert check_clean(planted, [*texts_of(server.data), ("log", server.log.read_bytes())]) >= 2
    asyncio.run(check_kept(PostgresStore(url), OTHER_KEY, before, first, second))


def server_tables(url: str) -> list[tuple[str, bytes]]:
    """Return every row of the tables that may hold a secret; the server may compress what its files hold."""
    rows = PostgresDatabases(url)
    tables = ("models", "settings", "changes", "idempotency_keys")
    return [
        (table, b"\n".join(repr(tuple(row)).encode() for row in rows.ask(f"SELECT * FROM {table} WHERE $1", True)))
        for table in tables
    ]
