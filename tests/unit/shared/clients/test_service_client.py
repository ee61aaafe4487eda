"""The ready-made clients, over real sockets."""

import pytest

from sarvanom.shared.clients.service_client import (
    CRUDServiceClient,
    ServiceClient,
    ServiceClientFactory,
    ServiceDiscoveryClient,
)
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import ResourceNotFound, ServiceUnavailable
from tests.unit.shared.clients.peers import OK, answering, closing_after, serve, unused_port

ADA = b'{"message":"","data":{"user_id":"ada","username":"Ada","email":"a@example.org"}}'
USER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ADA), ADA)
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
MISSING = b'{"code":"not_found","detail":"There is no user ada"}'
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(MISSING),
    MISSING,
)


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_all_names_are_in_one_place() -> None:
    assert {CRUDServiceClient.__name__, ServiceClient.__name__, ServiceDiscoveryClient.__name__} == {
        "CRUDServiceClient",
        "ServiceClient",
        "ServiceDiscoveryClient",
    }


async def test_user_is_read_through_a_busy_moment() -> None:
    async with serve(answering(BUSY, USER)) as peer, ServiceClientFactory().crud(peer.url, api_key="key-1") as client:
        user = await client.users.get("ada")
    assert user.username == "Ada"
    assert len(peer.requests) == 2
    assert b"authorization: bearer key-1" in peer.requests[0].lower()


async def test_error_of_the_service_is_raised_as_it_was() -> None:
    async with serve(answering(NOT_FOUND)) as peer, ServiceClientFactory().crud(peer.url) as client:
        with pytest.raises(ResourceNotFound, match="There is no user ada"):
            await client.users.get("ada")


async def test_any_path_can_be_called() -> None:
    async with serve(answering(USER)) as peer:
        service = ServiceClientFactory().service(peer.url)
        assert isinstance(service, ServiceClient)
        assert (await service.request("GET", "/users/ada")).body == ADA
        await service.aclose()


async def test_hop_goes_on_when_an_instance_is_away() -> None:
    async with serve(answering(OK)) as first, serve(answering(OK)) as second:
        away = f"http://127.0.0.1:{await unused_port()}"
        hop = ServiceClientFactory().hop(f"{away},{first.url},{second.url}")
        for _ in range(6):
            assert (await hop.send(Request("POST", b"/users"))).status == 200
        await hop.aclose()
    assert (len(first.requests), len(second.requests)) == (3, 3)


async def test_hop_reads_again_when_an_instance_breaks_off() -> None:
    async with serve(closing_after(b"")) as broken, serve(answering(OK)) as well:
        hop = ServiceClientFactory().hop(f"{broken.url},{well.url}")
        assert [(await hop.send(Request("GET", b"/users"))).status for _ in range(2)] == [200, 200]
        await hop.aclose()


async def test_hop_without_any_instance() -> None:
    hop = ServiceClientFactory().hop(f"http://127.0.0.1:{await unused_port()}")
    with pytest.raises(ServiceUnavailable):
        await hop.send(Request("GET", b"/users"))
    await hop.aclose()


def test_hop_refuses_what_names_no_instance() -> None:
    with pytest.raises(ValueError, match="is neither"):
        ServiceClientFactory().hop("crud")
