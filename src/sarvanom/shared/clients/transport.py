"""How a request gets to a service and its answer back: a small contract, stackable.

A transport either carries requests itself or wraps another one (retries, balancing), so that a gateway's hop and a
user's client are put together from the same pieces.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

type Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Request:
    """An HTTP request: `target` is the path with its query, percent-encoded; header names are lower case."""

    method: str
    target: bytes
    headers: Headers = field(default_factory=list)
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """An HTTP response, read to its end; header names are lower case."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)


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
    async def aclose(self) -> None:
        """Close what is open; idempotent."""
