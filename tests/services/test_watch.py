"""Watching over HTTP, through crud and through the gateway."""

import asyncio

import orjson
import pytest
from httpx2 import Client

from tests.harness.system import RunningProcess
from tests.services.event_streams import open_stream, watch

pytestmark = pytest.mark.parametrize("http", ["gateway", "crud"], indirect=True)


@pytest.fixture
def port(http: Client) -> int:
    """The port of the service under test."""
    found = http.base_url.port
    assert found is not None
    return found


def write(http: Client, id: str, **fields: object) -> int:
    """Create or replace a model; return the revision."""
    body = {"provider": "p", **fields}
    for headers in ({"if-none-match": "*"}, {}):
        answer = http.put(f"/models/{id}", json=body, headers=headers)
        if answer.status_code != 412:
            break
    assert answer.status_code in (200, 201), answer.text
    return int(answer.headers["sarvanom-revision"])


def head_of(http: Client) -> int:
    head: int = http.get("/changes", params={"limit": 1}).json()["metadata"]["revision"]
    return head


async def test_stream_opens_at_once_at_the_present(http: Client, port: int, id: str) -> None:
    head = write(http, id)
    async with open_stream(port) as stream:
        assert stream.status == 200
        expected = {"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
        assert expected.items() <= stream.headers.items()
        assert "content-length" not in stream.headers
        first = await stream.block(2)
        assert (first.id, first.comment, first.data) == (head, str(head), None)


async def test_event_is_the_change_as_the_list_has_it(http: Client, port: int, id: str) -> None:
    async with watch(port) as stream:
        revision = write(http, id)
        block = await stream.block()
        assert (block.id, block.event) == (revision, "change")
        assert block.data is not None
        page = http.get("/changes", params={"since": revision - 1, "limit": 1})
        assert block.data in page.content
        assert orjson.loads(block.data) == page.json()["data"]["items"][0]


@pytest.mark.parametrize("by_header", [True, False])
async def test_stream_resumes_without_a_gap_or_a_repeat(http: Client, port: int, id: str, by_header: bool) -> None:
    seen = []
    async with watch(port) as stream:
        begin = stream.last_id or 0
        for _ in range(3):
            write(http, id)
        seen += await stream.changes(2)
    for _ in range(3):
        write(http, id)
    last = stream.last_id
    target = "/changes?since=0" if by_header else f"/changes?since={last}"
    async with watch(port, target, last_event_id=last if by_header else None) as stream:
        assert stream.last_id == last
        write(http, id)
        seen += await stream.changes(5)
    assert [change["revision"] for change in seen] == list(range(begin + 1, begin + 8))


async def test_stream_is_filtered_like_a_list(http: Client, port: int, id: str) -> None:
    since = head_of(http)
    write(http, id, service=id)
    write(http, f"{id}/other")
    write(http, id, service="elsewhere")
    for query, operations in (
        (f"service={id}", ["create", "delete"]),
        (f"resource=models&id={id}", ["create", "update"]),
        ("resource=models", ["create", "create", "update"]),
    ):
        async with watch(port, f"/changes?since={since}&{query}") as stream:
            assert [change["operation"] for change in await stream.changes(len(operations))] == operations


@pytest.mark.parametrize(
    ("query", "last", "status", "code"),
    [
        ("?since=9007199254740991", None, 422, "validation_failed"),
        ("", 9007199254740991, 422, "validation_failed"),
        ("?limit=10", None, 422, "validation_failed"),
        ("?resource=cache", None, 422, "validation_failed"),
        ("?id=a", None, 422, "validation_failed"),
        ("", -1, 400, "invalid_header"),
    ],
)
async def test_refusal_comes_before_the_stream(
    http: Client, port: int, query: str, last: int | None, status: int, code: str
) -> None:
    async with open_stream(port, f"/changes{query}", last_event_id=last) as answer:
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert orjson.loads(await answer.body())["code"] == code


async def test_head_of_a_stream_ends(http: Client, port: int) -> None:
    async with open_stream(port, method="HEAD") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")


async def test_watchers_see_the_same_whatever_they_are_connected_to(
    system: RunningProcess, http: Client, port: int, id: str
) -> None:
    async with watch(system.crud_port) as near, watch(system.gateway_port) as far:
        for _ in range(20):
            write(http, id)
        one, other = await asyncio.gather(near.changes(20), far.changes(20))
    assert one == other
