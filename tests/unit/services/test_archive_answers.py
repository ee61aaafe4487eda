"""Exports and restores as crud answers them: who reads slowly, and who leaves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message

from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.archive_answers import EXPORT_GRACE, EXPORT_RATE, ArchiveAnswers
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.models.crud_models import SystemSetting
from sarvanom.web.archive_routes import add_archive_routes
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.routing import DirectDispatch, direct_routes
from tests.harness.identity import ADMINISTRATOR
from tests.harness.secrets import sealed
from tests.unit.web.asgi import Answer, ask, http_scope, read_all

KNOWN: dict[str, Any] = {PRINCIPAL: ADMINISTRATOR}
ITEMS = 40
LINES = [(b"content-type", b"application/x-ndjson")]


class Clock:
    """A clock that moves as far as a reader takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Taken(list[Message]):
    """What a reader has taken, at so many bytes a second."""

    def __init__(self, clock: Clock, rate: float) -> None:
        super().__init__()
        self._clock = clock
        self._rate = rate

    def append(self, message: Message) -> None:
        self._clock.now += len(message.get("body", b"")) / self._rate
        super().append(message)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[StoredCRUDService]:
    async with StoredCRUDService(sealed(SQLiteStore(tmp_path / "full.db"))) as service:
        for number in range(ITEMS):
            await service.settings.create(SystemSetting(setting_key=f"s{number}", setting_value="x" * 250_000))
        yield service


def application(service: StoredCRUDService, clock: Clock) -> ASGIApp:
    app = FastAPI()
    add_archive_routes(app, ArchiveAnswers(service.archive, service.store, clock))
    return DirectDispatch(direct_routes(app), read_all)


async def test_who_reads_an_export_slowly_is_cut_off_and_holds_nothing_any_more(service: StoredCRUDService) -> None:
    clock = Clock()
    app, scope = application(service, clock), http_scope("GET", "/export", **KNOWN)
    slow = Answer(scope, Taken(clock, EXPORT_RATE * 0.9))
    with pytest.raises(ClientDisconnect):
        await ask(app, scope, answer=slow)
    assert EXPORT_GRACE < clock.now < EXPORT_GRACE + 10
    assert b'"end":true' not in slow.body
    quick = await ask(app, scope)
    assert quick.body.endswith(b'{"end":true,"items":40}\n')


async def test_who_keeps_the_pace_may_read_for_long(service: StoredCRUDService) -> None:
    clock = Clock()
    scope = http_scope("GET", "/export", **KNOWN)
    answer = Answer(scope, Taken(clock, EXPORT_RATE * 1.1))
    await ask(application(service, clock), scope, answer=answer)
    assert clock.now > 2 * EXPORT_GRACE
    assert answer.body.endswith(b'{"end":true,"items":40}\n')


async def test_who_leaves_once_everything_was_sent_does_not_stop_a_restore(
    service: StoredCRUDService, tmp_path: Path
) -> None:
    """What `ask` gives after the body is that the caller is gone."""
    export = (await ask(application(service, Clock()), http_scope("GET", "/export", **KNOWN))).body
    scope = http_scope("POST", "/import", LINES, **KNOWN)
    async with StoredCRUDService(sealed(SQLiteStore(tmp_path / "empty.db"))) as empty:
        app = application(empty, Clock())
        with pytest.raises(ClientDisconnect):
            await leave_midway(app, export)
        assert (await empty.settings.list()).items == []
        answer = await ask(app, scope, body=[export])
        assert orjson.loads(answer.body)["data"]["revision"] == ITEMS
        assert (await empty.settings.get("s7")).revision == 8


async def leave_midway(app: ASGIApp, export: bytes) -> None:
    parts: list[Message] = [{"type": "http.request", "body": export[:5_000_000], "more_body": True}]

    async def receive() -> Message:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await app(http_scope("POST", "/import", LINES, **KNOWN), receive, send)
