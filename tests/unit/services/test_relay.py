"""The relay: calls go to crud, and answers come back, as bytes."""

import pytest

from sarvanom.services.gateway.relay import Relay
from sarvanom.shared.clients.transport import Headers, Request, Response, Transport
from sarvanom.shared.errors import UpstreamFailed
from sarvanom.shared.resources import USERS
from sarvanom.web.calls import Answer, Call, Operation


class Answering(Transport):
    """Keeps the requests and gives them all one answer."""

    def __init__(self, response: Response | Exception) -> None:
        self.response = response
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    async def aclose(self) -> None:
        """Nothing is held."""


def call(headers: Headers | None = None, body: bytes = b"") -> Call:
    return Call(Operation.PATCH, USERS, "PATCH", b"/users/ada?x=%20", "r-1", headers=headers, body=body)


async def test_call_is_sent_as_it_was_parsed() -> None:
    transport = Answering(Response(200, [], b""))
    headers = [(b"content-type", b"application/merge-patch+json"), (b"if-match", b'"7"')]
    await Relay(transport)(call(headers, b'{"a": 1}'))
    assert transport.requests == [
        Request("PATCH", b"/users/ada?x=%20", [(b"x-request-id", b"r-1"), *headers], b'{"a": 1}')
    ]
    assert headers == [(b"content-type", b"application/merge-patch+json"), (b"if-match", b'"7"')]


@pytest.mark.parametrize("headers", [None, []])
async def test_call_without_headers_has_its_request_id(headers: Headers | None) -> None:
    transport = Answering(Response(204, [], b""))
    await Relay(transport)(call(headers))
    assert transport.requests[0].headers == [(b"x-request-id", b"r-1")]


@pytest.mark.parametrize("status", [200, 201, 304, 404, 412, 503])
async def test_answer_is_handed_on_with_the_headers_that_are_a_callers_business(status: int) -> None:
    wanted = [
        (b"content-type", b"application/problem+json"),
        (b"etag", b'"7"'),
        (b"location", b"/users/ada"),
        (b"sarvanom-revision", b"7"),
        (b"retry-after", b"1"),
        (b"accept", b"application/json"),
    ]
    others = [(b"x-request-id", b"theirs"), (b"connection", b"close"), (b"content-length", b"3"), (b"server", b"crud")]
    relay = Relay(Answering(Response(status, [*others[:2], *wanted, *others[2:]], b"abc")))
    assert await relay(call()) == Answer(status, wanted, b"abc")


async def test_failure_of_the_hop_is_raised_as_it_is() -> None:
    failure = UpstreamFailed("broke off")
    with pytest.raises(UpstreamFailed) as caught:
        await Relay(Answering(failure))(call())
    assert caught.value is failure
