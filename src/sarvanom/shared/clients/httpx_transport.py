"""The public client's way to a service: httpx, for TLS, proxies and whatever else a user's network needs."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx2

from sarvanom.shared.clients.http_request import HOP_BY_HOP, encode_head
from sarvanom.shared.clients.transport import Request, Response, Transport
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
    ) -> None:
        self._base, self._prefix = _parse_base(base_url)
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._owned = client is None
        self._client = client or httpx2.AsyncClient(limits=limits)
        connecting = min(connect_timeout, timeout)
        self._timeout = timeout
        self._timeouts = httpx2.Timeout(timeout, connect=connecting).as_dict()
        self._max_response_bytes = max_response_bytes

    async def send(self, request: Request) -> Response:
        """Return the answer; raises as the contract says, and `InternalError` if the request cannot be written."""
        encode_head(request, b"")
        if self._client.is_closed:
            raise ServiceUnavailable("The connection to the service is closed")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(request)
        except _NOTHING_SENT:
            raise ServiceUnavailable("The service cannot be reached") from None
        except (TimeoutError, httpx2.TimeoutException):
            raise UpstreamTimeout("The service did not answer in time") from None
        except httpx2.LocalProtocolError:
            raise InternalError("A request holds what HTTP cannot carry") from None
        except httpx2.HTTPError:
            raise UpstreamFailed("The service broke off, or its answer is no valid HTTP") from None

    async def aclose(self) -> None:
        """Close the client that was made here."""
        if self._owned:
            await self._client.aclose()

    async def _exchange(self, request: Request) -> Response:
        """Send the target as it is, past httpx's own ideas of how a URL should look."""
        message = httpx2.Request(
            request.method,
            self._base,
            headers=[(b"accept-encoding", b"identity"), *request.headers],
            content=request.body,
            extensions={"target": self._prefix + request.target, "timeout": self._timeouts},
        )
        answer = await self._client.send(message, stream=True, follow_redirects=False)
        try:
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > self._max_response_bytes:
                    raise UpstreamFailed("The service's answer is larger than may be")
        finally:
            await answer.aclose()
        headers = [(name.lower(), value) for name, value in answer.headers.raw]
        return Response(
            answer.status_code,
            [(name, value) for name, value in headers if name not in HOP_BY_HOP],
            bytes(body),
        )


def _parse_base(url: str) -> tuple[httpx2.URL, bytes]:
    """Return the origin and the path before every target; raises `ValueError` if it is no such URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no URL of the form https://host:port/path")
    return httpx2.URL(f"{parts.scheme}://{parts.netloc}/"), parts.path.rstrip("/").encode("ascii")
