"""Calls to a service over HTTP, in which an error that it answers is raised here."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from sarvanom.shared.clients.idempotency import WRITING, KeySequence
from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Headers, Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import UpstreamFailed

_JSON: Final = TypeAdapter[JsonValue](JsonValue)
_NOT_MODIFIED: Final = 304
_MAX_PROBLEM_BYTES: Final = 1024 * 1024


class ServiceClient:
    """Calls one service over a transport, which it owns."""

    def __init__(
        self, transport: Transport, *, api_key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._transport = transport
        sent = {"user-agent": f"sarvanom/{_own_version()}", "accept": "application/json", **_lower(headers or {})}
        if api_key is not None:
            if not (api_key and api_key.isascii() and api_key.isprintable()):
                raise ValueError("api_key must be printable ASCII, as it travels in a header; None is none")
            sent["authorization"] = f"Bearer {api_key}"
        self._headers = sent
        self._keys = KeySequence()

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        json: JsonValue = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Response:
        """Send a request and return its answer, 2xx or 304; `target` is a path, percent-encoded, and its query.

        The body is `body`, or else the JSON text of `json` if that is not None. What writes gets an idempotency key,
        unless `headers` has one, so that it can be sent again if its fate is unknown.

        Raises:
            SarvanOMError: the error that the service answered, as the class it was there, or one of the transport's.
        """
        own: dict[str, str] = {}
        if json is not None:
            own["content-type"] = "application/json"
        if method in WRITING:
            own["idempotency-key"] = self._keys.next()
        last = {} if request_id is None else {"x-request-id": request_id}
        if body is None:
            body = _JSON.dump_json(json) if json is not None else b""
        sent = _encode({**self._headers, **own, **_lower(headers or {}), **last})
        response = await self._transport.send(Request(method, target.encode("ascii"), sent, body))
        if not 200 <= response.status < 300 and response.status != _NOT_MODIFIED:
            raise error_from_response(response)
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        target: str,
        *,
        body: AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Send a request and hand its 2xx answer over as it comes (see `Transport.stream`); it is never sent again.

        `patience` is how many seconds the service may be silent after the body, if it needs more than usual.

        Raises:
            SarvanOMError: the error that the service answered, as the class it was there, or one of the transport's.
        """
        sent = _encode({**self._headers, **_lower(headers or {})})
        request = Request(method, target.encode("ascii"), sent, patience=patience)
        async with self._transport.stream(request, body) as response:
            if not 200 <= response.status < 300:
                raise error_from_response(await _read_problem(response))
            yield response

    async def health(self) -> JsonValue:
        """Return what the service says of its own life."""
        return self._read(await self.request("GET", "/health"))

    async def version(self) -> JsonValue:
        """Return which version the service is."""
        return self._read(await self.request("GET", "/version"))

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _read(self, response: Response) -> JsonValue:
        try:
            return _JSON.validate_json(response.body)
        except ValidationError:
            raise UpstreamFailed("The service's answer is no JSON") from None


@cache
def _own_version() -> str:
    return version("sarvanom")


async def _read_problem(streamed: StreamedResponse) -> Response:
    """Read the answer, or as much of it as a problem may have."""
    body = bytearray()
    async for chunk in streamed.chunks:
        body += chunk
        if len(body) > _MAX_PROBLEM_BYTES:
            break
    return Response(streamed.status, streamed.headers, bytes(body[:_MAX_PROBLEM_BYTES]))


def _encode(headers: Mapping[str, str]) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
