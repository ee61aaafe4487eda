"""Reading a request's body."""

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.types import Receive


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; how large it may be is the body limit's business.

    Raises:
        ClientDisconnect: the caller went away before it had sent everything.
    """
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join((*chunks, body)) if chunks else body
        chunks.append(body)


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body as it comes in, and no faster than it is asked for.

    Raises:
        ClientDisconnect: the caller went away before it had sent everything.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body
