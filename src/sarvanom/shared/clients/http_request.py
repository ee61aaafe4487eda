"""An HTTP/1.1 request as bytes, or nothing at all if any part of it could be read as more than it says (RFC 9112)."""

import re
from functools import lru_cache
from typing import Final

from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import InternalError

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""The headers that concern one connection alone (RFC 9110, section 7.6.1)."""

_OURS: Final = HOP_BY_HOP | {b"host", b"content-length"}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_TARGET: Final = re.compile(rb"/[^\x00-\x20\x7f]*")
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


def encode_head(request: Request, host: bytes, *, chunked: bool = False) -> bytes:
    """Return the request's head; the body follows it as it is, or `chunked`. The framing headers and `host` are ours.

    Raises:
        InternalError: the request cannot be written without ambiguity, or sets a header that is ours to set: whoever
            built it let something through that belongs to a 400 or a 422.
    """
    parts = [
        _method_start(request.method),
        request.target,
        b" HTTP/1.1\r\nhost: ",
        host,
    ]
    for name, value in request.headers:
        parts += (_header_start(name), value)
    if chunked:
        parts.append(b"\r\ntransfer-encoding: chunked\r\n\r\n")
        lines = len(request.headers) + 4
    elif request.body or request.method in _WITH_BODY:
        parts.append(b"\r\ncontent-length: %d\r\n\r\n" % len(request.body))
        lines = len(request.headers) + 4
    else:
        parts.append(b"\r\n\r\n")
        lines = len(request.headers) + 3
    head = b"".join(parts)
    if (
        head.count(b"\n") != lines
        or head.count(b"\r") != lines
        or b"\0" in head
        or _TARGET.fullmatch(request.target) is None
    ):
        raise InternalError("A request holds characters that HTTP cannot carry")
    return head


def encode_stream_head(request: Request, host: bytes, *, chunked: bool) -> bytes:
    """Return the head of a request whose answer is streamed; raises also for a HEAD, and for two bodies."""
    if request.method == "HEAD" or (chunked and request.body):
        raise InternalError("A request is of a kind that is not streamed")
    return encode_head(request, host, chunked=chunked)


@lru_cache(maxsize=64)
def _method_start(method: str) -> bytes:
    if _METHOD.fullmatch(method) is None:
        raise InternalError("A request has a method that is none of HTTP's")
    return method.encode() + b" "


@lru_cache(maxsize=1024)
def _header_start(name: bytes) -> bytes:
    if _NAME.fullmatch(name) is None or name in _OURS:
        raise InternalError("A request has a header that it must not have")
    return b"\r\n" + name + b": "
