"""Calls to a service, whatever they are about."""

from importlib.metadata import version

import pytest

from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.errors import InternalError, ResourceNotFound, UpstreamFailed
from tests.unit.shared.clients.scripted_transport import ScriptedTransport, answer

PROBLEM = (b"content-type", b"application/problem+json")


async def test_every_request_says_who_asks() -> None:
    transport = ScriptedTransport([200])
    await ServiceClient(transport, api_key="key-1", headers={"X-Team": "a"}).request("GET", "/users")
    (request,) = transport.requests
    assert (request.method, request.target, request.body) == ("GET", b"/users", b"")
    assert request.headers == [
        (b"user-agent", b"sarvanom/" + version("sarvanom").encode()),
        (b"accept", b"application/json"),
        (b"x-team", b"a"),
        (b"authorization", b"Bearer key-1"),
    ]


async def test_headers_of_one_request_win() -> None:
    transport = ScriptedTransport([200])
    service = ServiceClient(transport, headers={"accept": "a/b"})
    await service.request("GET", "/", headers={"Accept": "c/d"}, request_id="r-1")
    await service.request("GET", "/")
    assert dict(transport.requests[0].headers) | {b"user-agent": b""} == {
        b"user-agent": b"",
        b"accept": b"c/d",
        b"x-request-id": b"r-1",
    }
    assert dict(transport.requests[1].headers)[b"accept"] == b"a/b"


async def test_body_as_json_and_as_it_is() -> None:
    transport = ScriptedTransport([200])
    service = ServiceClient(transport)
    await service.request("POST", "/", json={"name": "Ada"})
    await service.request("POST", "/", body=b"x", headers={"content-type": "text/plain"})
    first, second = transport.requests
    assert first.body == b'{"name":"Ada"}'
    assert dict(first.headers)[b"content-type"] == b"application/json"
    assert second.body == b"x"
    assert dict(second.headers)[b"content-type"] == b"text/plain"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 304])
async def test_good_answers_are_returned(status: int) -> None:
    response = await ServiceClient(ScriptedTransport([status])).request("GET", "/")
    assert response.status == status


@pytest.mark.parametrize("status", [301, 307, 400, 418, 500])
async def test_other_answers_are_raised(status: int) -> None:
    with pytest.raises(InternalError, match=str(status)):
        await ServiceClient(ScriptedTransport([status])).request("GET", "/")


async def test_problem_is_raised_as_the_error_it_was() -> None:
    transport = ScriptedTransport([answer(404, b'{"code": "not_found", "detail": "No ada"}')])
    transport.outcomes[0].headers = [PROBLEM]  # type: ignore[union-attr]
    with pytest.raises(ResourceNotFound, match="No ada"):
        await ServiceClient(transport).request("GET", "/users/ada")


async def test_health_and_version_are_json() -> None:
    transport = ScriptedTransport(
        [answer(200, b'{"status": "ok"}'), answer(200, b'{"version": "1"}'), answer(200, b"<")]
    )
    service = ServiceClient(transport)
    assert await service.health() == {"status": "ok"}
    assert await service.version() == {"version": "1"}
    with pytest.raises(UpstreamFailed):
        await service.version()
    assert [request.target for request in transport.requests] == [b"/health", b"/version", b"/version"]


async def test_close_goes_through() -> None:
    transport = ScriptedTransport([200])
    await ServiceClient(transport).aclose()
    assert transport.closed == 1
