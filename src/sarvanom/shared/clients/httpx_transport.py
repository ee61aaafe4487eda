"""The public client's way to a service: httpx, for TLS, proxies and whatever else a user's network needs."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx2

from sarvanom.shared.clients.http_request import HOP_BY_HOP, encode_head, encode_stream_head
from sarvanom.shared.clients.request_body import WatchedBody
from sarvanom.shared.clients.stream_slots import StreamSlots
from sarvanom.shared.clients.transport import Headers, Request, Response, StreamedResponse, Transport
from sarvanom.shared.errors import InternalError, ServiceUnavailable, UpstreamFailed, UpstreamTimeout

_NOTHING_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


class HTTPXTransport(Transport):
    """Carries requests to a base URL, whose path, if it has one, is put before every target.

    `timeout` bounds a request as a whole, and `max_response_bytes` an answer's body. A `client` that is given stays
    the caller's to close; without one, a client is made that takes proxies and certificates from the environment.

    A stream goes one way after the other: httpx sends the body completely before it reads the answer. A service that
    answers while it reads gets stuck once the sockets' buffers are full, which is `UpstreamTimeout`. At most
    `max_streams` are carried at once, on connections of their own unless the `client` was given, and each is given up
    when the service is silent for `stream_idle_timeout` seconds while it is its turn, or after its body for the
    request's own `patience`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        client: httpx2.AsyncClient | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        max_connections: int = 64,
        max_response_bytes: int = 64 * 1024 * 1024,
        max_streams: int = 2_000,
        stream_idle_timeout: float = 60.0,
    ) -> None:
        self._base, self._prefix = _parse_base(base_url)
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._owned = client is None
        self._client = client or httpx2.AsyncClient(limits=limits)
        connecting = min(connect_timeout, timeout)
        self._timeout = timeout
        self._timeouts = httpx2.Timeout(timeout, connect=connecting).as_dict()
        self._max_response_bytes = max_response_bytes
        self._slots = StreamSlots(max_streams)
        self._stream_timeouts = httpx2.Timeout(stream_idle_timeout, connect=connecting, pool=connecting).as_dict()
        self._stream_client = client

    async def send(self, request: Request) -> Response:
        """Return the answer; raises as the contract says, and `InternalError` if the request cannot be written."""
        encode_head(request, b"")
        if self._client.is_closed:
            raise ServiceUnavailable("The connection to the service is closed")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(request)
        except (TimeoutError, httpx2.HTTPError) as error:
            raise _as_ours(error) from None

    @asynccontextmanager
    async def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Hand the answer over as it comes; raises as the contract says, and `InternalError` as `send` does."""
        encode_stream_head(request, b"", chunked=body is not None)
        source = None if body is None else WatchedBody(body)
        with self._slots.take():
            try:
                answer = await self._open(request, source)
                chunks = _Chunks(answer)
                try:
                    yield StreamedResponse(answer.status_code, _end_to_end(answer), chunks)
                finally:
                    await chunks.aclose()
            finally:
                if source is not None:
                    await source.aclose()

    async def aclose(self) -> None:
        """Close what was made here."""
        if self._owned:
            await self._client.aclose()
            if self._stream_client is not None:
                await self._stream_client.aclose()

    async def _exchange(self, request: Request) -> Response:
        message = self._message(request, request.body, self._timeouts)
        answer = await self._client.send(message, stream=True, follow_redirects=False)
        try:
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > self._max_response_bytes:
                    raise UpstreamFailed("The service's answer is larger than may be")
        finally:
            await answer.aclose()
        return Response(answer.status_code, _end_to_end(answer), bytes(body))

    async def _open(self, request: Request, source: WatchedBody | None) -> httpx2.Response:
        """Send the request, and return the answer as soon as its head is there."""
        if self._client.is_closed:
            raise ServiceUnavailable("The connection to the service is closed")
        if self._stream_client is None:
            self._stream_client = httpx2.AsyncClient(limits=httpx2.Limits(max_keepalive_connections=0))
        timeouts = self._stream_timeouts
        if request.patience is not None:
            timeouts = {**timeouts, "read": request.patience}
        message = self._message(request, source or request.body, timeouts)
        try:
            return await self._stream_client.send(message, stream=True, follow_redirects=False)
        except (TimeoutError, httpx2.HTTPError) as error:
            if source is not None and error is source.error:
                raise
            raise _as_ours(error) from None

    def _message(
        self, request: Request, content: bytes | WatchedBody, timeouts: dict[str, float | None]
    ) -> httpx2.Request:
        """Build the request with the target as it is, past httpx's own ideas of how a URL should look."""
        return httpx2.Request(
            request.method,
            self._base,
            headers=[(b"accept-encoding", b"identity"), *request.headers],
            content=content,
            extensions={"target": self._prefix + request.target, "timeout": timeouts},
        )


class _Chunks(AsyncIterator[bytes]):
    """The body of an answer, as it comes; however reading it fails, it never looks like the end afterwards."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer
        self._parts = answer.aiter_raw()
        self._error: Exception | None = None

    async def __anext__(self) -> bytes:
        """Return the next part."""
        if self._error is not None:
            raise self._error
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            raise
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            self._error = _as_ours(error)
            raise self._error from None
        except BaseException:
            self._error = UpstreamFailed("The stream was broken off")
            raise

    async def aclose(self) -> None:
        """End the answer, wherever it is."""
        self._error = self._error or UpstreamFailed("The stream is closed")
        try:
            await self._parts.aclose()
        finally:
            await self._answer.aclose()


def _as_ours(error: Exception) -> Exception:
    """Return what the contract calls an error of httpx."""
    if isinstance(error, _NOTHING_SENT):
        return ServiceUnavailable("The service cannot be reached")
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return UpstreamTimeout("The service did not answer in time")
    if isinstance(error, httpx2.LocalProtocolError):
        return InternalError("A request holds what HTTP cannot carry")
    return UpstreamFailed("The service broke off, or its answer is no valid HTTP")


def _end_to_end(answer: httpx2.Response) -> Headers:
    headers = [(name.lower(), value) for name, value in answer.headers.raw]
    return [(name, value) for name, value in headers if name not in HOP_BY_HOP]


def _parse_base(url: str) -> tuple[httpx2.URL, bytes]:
    """Return the origin and the path before every target; raises `ValueError` if it is no such URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no URL of the form https://host:port/path")
    return httpx2.URL(f"{parts.scheme}://{parts.netloc}/"), parts.path.rstrip("/").encode("ascii")
