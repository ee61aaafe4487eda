"""The five collections, and what each adds."""

from collections.abc import AsyncIterator
from typing import assert_type

import pytest

from sarvanom.shared.clients.crud_client import CRUDServiceClient
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.contracts.archive_contract import RESTORE_SECONDS
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from sarvanom.shared.models.bulk_models import RestoreSummary
from sarvanom.shared.models.crud_models import CacheStats, UserProfile
from sarvanom.shared.resources import RESOURCES
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport, answer

EMPTY = answer(200, b'{"status":"success","message":"","data":{"items":[]},"metadata":{"limit":1,"next_cursor":null}}')


def crud(*outcomes: Outcome) -> tuple[CRUDServiceClient, ScriptedTransport]:
    transport = ScriptedTransport(outcomes)
    return CRUDServiceClient(ServiceClient(transport)), transport


def test_every_resource_has_its_collection() -> None:
    client, _ = crud(200)
    assert isinstance(client, CRUDServiceContract)
    assert [getattr(client, one.collection).resource for one in RESOURCES] == list(RESOURCES)


@pytest.mark.parametrize(
    ("conditions", "query"),
    [
        ({"tag": "a b&c"}, b"tag=a+b%26c"),
        ({"service": "chat"}, b"service=chat"),
        ({"tag": "x", "service": "chat"}, b"tag=x&service=chat"),
    ],
)
async def test_invalidate_deletes_what_matches(conditions: dict[str, str], query: bytes) -> None:
    client, transport = crud(answer(200, b'{"message": "Done", "data": {"deleted": 3}}'))
    assert await client.cache.invalidate(**conditions) == 3
    assert (transport.requests[0].method, transport.requests[0].target) == ("DELETE", b"/cache?" + query)


async def test_cache_is_never_emptied_by_accident() -> None:
    client, transport = crud(200)
    with pytest.raises(ValidationFailed):
        await client.cache.invalidate()
    assert transport.requests == []


async def test_stats_of_the_cache() -> None:
    stats = CacheStats(entries=1, bytes=2, hits=3, misses=4, expirations=5)
    client, transport = crud(answer(200, b'{"message": "", "data": %s}' % stats.model_dump_json().encode()))
    assert await client.cache.stats() == stats
    assert transport.requests[0].target == b"/cache-stats"


async def test_a_restore_is_sent_once_and_given_time() -> None:
    async def export() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"

    items = dict.fromkeys((resource.collection for resource in RESOURCES), 0)
    summary = RestoreSummary(revision=7, items=items)
    client, transport = crud(answer(200, b'{"message": "", "data": %s}' % summary.model_dump_json().encode()))
    assert await client.archive.restore(export()) == summary
    (request,) = transport.requests
    assert (request.method, request.target, request.patience) == ("POST", b"/import", RESTORE_SECONDS)
    assert dict(request.headers)[b"content-type"] == b"application/x-ndjson"
    assert transport.bodies == [b"one\ntwo\n"]


async def test_user_is_found_by_name() -> None:
    client, transport = crud(EMPTY)
    with pytest.raises(ResourceNotFound):
        await client.users.by_username("ada")
    assert transport.requests[0].target == b"/users?limit=1&username=ada"


async def test_leaving_closes_the_connections() -> None:
    client, transport = crud(200)
    async with client as entered:
        assert entered is client
    assert transport.closed == 1


async def read_user(client: CRUDServiceClient) -> None:
    """For the type checkers: a user is a `UserProfile` to them."""
    assert_type(await client.users.get("ada"), UserProfile)
