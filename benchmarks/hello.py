"""A raw ASGI application that answers every request with the same 200 bytes."""

from starlette.types import Receive, Scope, Send

BODY = b"hello, world".ljust(200, b".")
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer; without `lifespan` uvicorn starts all the same."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
