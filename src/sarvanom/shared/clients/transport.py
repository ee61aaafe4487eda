"""How a request gets to a service and its answer back: a small contract, stackable.

A transport either carries requests itself or wraps another one (retries, balancing), so that a gateway's hop and a
user's client are put together from the same pieces.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

type Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Request:
    """An HTTP request: `target` is the path with its query, percent-encoded; header names are lower case.

    `patience` is for streams: how many seconds the service may be silent once all of the body was sent, where that is
    not for the transport to say.
    """

    method: str
    target: bytes
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    patience: float | None = None


@dataclass(slots=True)
class Response:
    """An HTTP response, read to its end; header names are lower case."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case)."""
        return _first(self.headers, name)


@dataclass(slots=True)
class StreamedResponse:
    """An HTTP response whose body is still on its way; header names are lower case.

    `chunks` can be read once, by one reader. How the body is cut means nothing. It ends where the answer ends; an
    answer that is cut short raises `UpstreamFailed`, and goes on raising it.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case)."""
        return _first(self.headers, name)


class Transport(ABC):
    """Something that carries requests to a service."""

    @abstractmethod
    async def send(self, request: Request) -> Response:
        """Return the service's answer, whatever its status.

        Raises:
            ServiceUnavailable: it could not be reached; nothing was sent.
            UpstreamFailed: it broke off, or answered what is no HTTP; it may have acted.
            UpstreamTimeout: it did not answer in time; it may have acted.
        """

    @abstractmethod
    def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Send a request, and hand its answer over as soon as its head is there, whatever its status.

        A `body` is sent in place of the request's own, as it comes, and no faster than the service reads; the answer
        is read no faster than `chunks` is. Leaving the context ends both, and the connection unless both were at
        their end. Of time, only the service's silence is bounded, after the body by the request's `patience` if it has
        one: not how long the source of `body`, the reader of `chunks` or the whole take. A read of `chunks` that is
        cancelled may break the answer off.

        Raises:
            ServiceUnavailable: it could not be reached, or there are too many streams; nothing was sent.
            UpstreamFailed: it broke off, or answered what is no HTTP; also out of `chunks`. It may have acted.
            UpstreamTimeout: nothing moved while it was its turn; also out of `chunks`. It may have acted.
            Exception: what `body` raised; the service sees a request that breaks off.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close what is open; idempotent."""


def _first(headers: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)
