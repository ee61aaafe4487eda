"""Calls to a service, whatever they are about."""

import re
from collections.abc import AsyncIterator
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


@pytest.mark.parametrize("api_key", ["", "sk-\n", "sk-é"])
def test_key_that_cannot_travel_is_refused_at_once(api_key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        ServiceClient(ScriptedTransport([]), api_key=api_key)


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


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_writes_has_a_key_of_its_own(method: str) -> None:
    transport = ScriptedTransport([200])
    service = ServiceClient(transport)
    for headers in (None, {"x-a": "b"}, {"Idempotency-Key": "mine-0001"}):
        await service.request(method, "/", headers=headers)
    first, second, third = [dict(request.headers)[b"idempotency-key"] for request in transport.requests]
    assert re.fullmatch(rb"[A-Za-z0-9_-]{8,64}", first)
    assert first < second
    assert third == b"mine-0001"


async def test_what_reads_has_no_key() -> None:
    transport = ScriptedTransport([200])
    for method in ("GET", "HEAD", "OPTIONS"):
        await ServiceClient(transport).request(method, "/")
    assert all(b"idempotency-key" not in dict(request.headers) for request in transport.requests)


async def test_stream_says_who_asks_and_hands_the_answer_over() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"

    transport = ScriptedTransport([answer(200, b"0123456789abcdef")])
    service = ServiceClient(transport, api_key="key-1")
    async with service.stream("POST", "/users?a=b", body=lines(), headers={"Accept": "c/d"}) as response:
        assert response.status == 200
        assert [chunk async for chunk in response.chunks] == [b"0123456789", b"abcdef"]
        assert transport.open_streams == 1
    (request,) = transport.requests
    sent = dict(request.headers)
    assert (request.method, request.target, transport.bodies) == ("POST", b"/users?a=b", [b"one\ntwo\n"])
    assert (sent[b"accept"], sent[b"authorization"]) == (b"c/d", b"Bearer key-1")
    assert transport.open_streams == 0


async def test_problem_in_answer_to_a_stream_is_raised_as_the_error_it_was() -> None:
    problem = answer(404, b'{"code": "not_found", "detail": "No ada"}')
    problem.headers = [PROBLEM]
    transport = ScriptedTransport([problem, answer(304), answer(500, b"x" * 3_000_000)])
    service = ServiceClient(transport)
    for error, said in ((ResourceNotFound, "No ada"), (InternalError, "304"), (InternalError, "500")):
        with pytest.raises(error, match=said):
            async with service.stream("GET", "/users/ada"):
                raise AssertionError
    assert transport.open_streams == 0


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
