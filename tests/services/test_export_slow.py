"""A reader that takes an export of everything drop by drop is cut off, and the next one can have it."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.services.crud import archive_answers
from tests.harness.identity import SignedRequests
from tests.services.inner_crud import crud_in_process

ITEMS = 30
END = b'{"end":true,"items":%d}\n' % (ITEMS + 1)  # and the administrator's key


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 's.db'}"
    url: str = request.getfixturevalue("postgres_database")
    await migrate(url)
    return url


async def test_a_trickle_is_no_way_to_hold_an_export(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_answers, "EXPORT_GRACE", 0.5)
    monkeypatch.setattr(archive_answers, "EXPORT_RATE", 2**30)
    async with (
        crud_in_process(database_url=database) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, auth=SignedRequests()) as client,
    ):
        for number in range(ITEMS):
            body = {"setting_key": f"s{number}", "setting_value": "x" * 1_000_000}
            assert (await client.post("/settings", json=body)).status_code == 201
        assert await trickle(client) < ITEMS * 1_000_000
        monkeypatch.setattr(archive_answers, "EXPORT_RATE", 1)
        assert (await client.get("/export")).content.endswith(END)


async def trickle(client: httpx2.AsyncClient) -> int:
    """Take an export slowly for two seconds, then whatever is left of it; return how much came before it broke off."""
    taken = 0
    loop = asyncio.get_running_loop()
    async with client.stream("GET", "/export") as slow:
        assert (await client.get("/export")).status_code == 503
        end = loop.time() + 2
        try:
            async for part in slow.aiter_raw():
                taken += len(part)
                if loop.time() < end:
                    await asyncio.sleep(0.1)
        except httpx2.HTTPError:
            return taken
    raise AssertionError("The export came to its end")
