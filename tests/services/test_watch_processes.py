"""Watching several crud processes, and processes that stop, come back, and forget."""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import httpx2
import orjson
import pytest

from sarvanom.shared.clients.service_client import ServiceClientFactory
from sarvanom.shared.errors import RevisionCompacted
from tests.contracts.conftest import migrated_database
from tests.contracts.samples import MODEL, new_id
from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY, SignedRequests
from tests.harness.system import running_crud, running_system
from tests.services.event_streams import open_stream, watch

KEYS = 1
"""How many revisions there are before all tests: the administrator's key takes the first."""


async def create(client: httpx2.AsyncClient) -> int:
    """Create a model; return its revision."""
    answer = await client.post("/models", json={"model_name": new_id(), "provider": "p"})
    assert answer.status_code == 201, answer.text
    return int(answer.headers["sarvanom-revision"])


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a database that two processes share."""
    if request.param == "sqlite":
        return {}
    return {"SARVANOM_DATABASE_URL": migrated_database(request.getfixturevalue("postgres"))}


async def test_watchers_of_two_workers_see_the_same_soon(tmp_path: Path, database: dict[str, str]) -> None:
    """Sixteen connections are spread over the two processes, and so are the writes."""
    with running_system(tmp_path, SARVANOM_WORKERS="2", **database) as system:
        async with AsyncExitStack() as stack:
            watchers = [
                await stack.enter_async_context(watch(port))
                for port in (system.crud_port, system.gateway_port)
                for _ in range(8)
            ]
            delays = []
            for number in range(30):
                limits = httpx2.Limits(max_keepalive_connections=0)
                async with httpx2.AsyncClient(base_url=system.crud_url, limits=limits, auth=SignedRequests()) as client:
                    revision = await create(client)
                written = time.perf_counter()
                changes = await asyncio.gather(*(watcher.change() for watcher in watchers))
                delays.append(time.perf_counter() - written)
                assert {change["revision"] for change in changes} == {revision} == {number + KEYS + 1}
    assert statistics.median(delays) < 0.2  # the slowest of 16; a busy machine is no defect


async def test_system_stops_at_once_though_it_is_watched(tmp_path: Path) -> None:
    """Also by who takes nothing of what is sent."""
    with running_system(tmp_path) as system:
        async with AsyncExitStack() as stack:
            watchers = [
                await stack.enter_async_context(watch(port))
                for port in (system.crud_port, system.gateway_port)
                for _ in range(5)
            ]
            for port in (system.crud_port, system.gateway_port):
                await stack.enter_async_context(open_stream(port, limit=8192))
            async with httpx2.AsyncClient(base_url=system.crud_url, auth=SignedRequests()) as client:
                value = "x" * 9_000_000
                await client.post("/settings", json={"setting_key": "large", "setting_value": value})
            await asyncio.gather(*(watcher.change() for watcher in watchers))
            began = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(system.stop))
            assert set(await asyncio.gather(*(watcher.to_end() for watcher in watchers))) == {0}
            assert await stopping == 0
            assert time.monotonic() - began < 5
    assert "Traceback" not in system.log.read_text()


async def test_client_watches_on_when_crud_comes_back(tmp_path: Path) -> None:
    with running_system(tmp_path) as system:
        async with ServiceClientFactory().crud(system.gateway_url, api_key=ADMIN_KEY) as client:
            seen: list[int] = []

            async def follow() -> None:
                async for change in client.log.watch(0):
                    seen.append(change.revision)  # noqa: PERF401 (a comprehension shows nothing before its end)

            following = asyncio.create_task(follow())
            await client.models.create(MODEL.build(new_id()))
            for expected in (3, 4):
                await asyncio.to_thread(system.stop)
                await asyncio.to_thread(system.start, f"{system.gateway_url}/ready")
                await client.models.create(MODEL.build(new_id()))
                async with asyncio.timeout(20):
                    while len(seen) < expected:  # noqa: ASYNC110 (there is nothing to wait for but the list)
                        await asyncio.sleep(0.02)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert seen == [1, 2, 3, 4]


async def test_what_retention_has_removed_is_gone_for_watchers_too(tmp_path: Path) -> None:
    with running_system(tmp_path, SARVANOM_HISTORY_CHANGES="5") as system:
        async with httpx2.AsyncClient(base_url=system.gateway_url, headers=ADMIN_HEADERS) as client:
            for _ in range(12):
                await create(client)
            async with asyncio.timeout(20):
                while (page := (await client.get("/changes")).json())["metadata"]["oldest_revision"] < 8:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert [change["revision"] for change in page["data"]["items"]] == [9, 10, 11, 12, 13]
            gone = await client.get("/changes", params={"since": 7})
            assert (gone.status_code, gone.json()["code"]) == (410, "revision_compacted")
            assert gone.headers["sarvanom-oldest-revision"] == "8"
            undone = await client.post("/revisions/8/revert")
            assert (undone.status_code, undone.headers["sarvanom-oldest-revision"]) == (410, "8")
            name = page["data"]["items"][0]["id"]
            past = await client.get(f"/models/{name}", params={"at_revision": 7})
            assert (past.status_code, past.headers["sarvanom-oldest-revision"]) == (410, "8")
        for port in (system.crud_port, system.gateway_port):
            async with open_stream(port, last_event_id=7) as answer:
                assert (answer.status, answer.headers["sarvanom-oldest-revision"]) == (410, "8")
            async with watch(port, last_event_id=8) as stream:
                assert [change["revision"] for change in await stream.changes(5)] == [9, 10, 11, 12, 13]
        async with (
            ServiceClientFactory().crud(system.gateway_url, api_key=ADMIN_KEY) as typed,
            aclosing(typed.log.watch(7)) as changes,
        ):
            with pytest.raises(RevisionCompacted) as caught:
                await anext(changes)
        assert caught.value.headers == {"SarvanOM-Oldest-Revision": "8"}


async def test_thousand_watchers_of_one_process(tmp_path: Path) -> None:
    """Each sees each change, and an ordinary request is still served."""
    with running_crud(tmp_path) as crud:
        async with AsyncExitStack() as stack:
            watchers = []
            for _ in range(20):
                opening = [stack.enter_async_context(watch(crud.crud_port)) for _ in range(50)]
                watchers += [await one for one in opening]
            async with httpx2.AsyncClient(base_url=crud.crud_url, timeout=20, auth=SignedRequests()) as client:
                began = time.monotonic()
                for _ in range(10):
                    await create(client)
                seen = await asyncio.gather(*(watcher.changes(10) for watcher in watchers))
                assert time.monotonic() - began < 20
                assert (await client.get("/ready")).status_code == 200
            assert all([change["revision"] for change in one] == list(range(KEYS + 1, KEYS + 11)) for one in seen)
        assert (
            orjson.loads(httpx2.get(f"{crud.crud_url}/changes?limit=1", auth=SignedRequests()).content)["metadata"][
                "revision"
            ]
            == KEYS + 10
        )
