"""A reader that leaves what was sent to it is cut off, holds nothing up, and resumes where it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from sarvanom.web import sending
from tests.harness.identity import SignedRequests
from tests.services.event_streams import EventStream, open_stream, watch
from tests.services.inner_crud import crud_in_process

LARGE = 200_000


@pytest.fixture
async def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Crud in this process, which has little patience."""
    monkeypatch.setattr(sending, "SLOW_READER_SECONDS", 0.5)
    async with crud_in_process(data_dir=tmp_path) as port:
        yield port


async def read_to_the_end(stream: EventStream) -> list[int]:
    """Return the revisions that come until the stream breaks off."""
    seen = list[int]()
    with suppress(EOFError, OSError):
        while True:
            seen.append((await stream.change())["revision"])
    return seen


async def test_slow_reader_is_cut_off_and_resumes(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=SignedRequests()) as client,
        watch(port) as quick,
    ):
        async with open_stream(port, limit=8192) as slow:
            await slow.block()
            reading = asyncio.create_task(quick.changes(60))
            for number in range(60):
                body = {"setting_key": f"s{number}", "setting_value": "x" * LARGE}
                assert (await client.post("/settings", json=body)).status_code == 201
            assert [change["revision"] for change in await reading] == list(range(2, 62))
            await asyncio.sleep(1)
            seen = await read_to_the_end(slow)
            assert seen == list(range(2, len(seen) + 2))
            assert len(seen) < 60
        async with watch(port, last_event_id=slow.last_id) as resumed:
            rest = await resumed.changes(60 - len(seen))
            assert [change["revision"] for change in rest] == list(range(len(seen) + 2, 62))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
