"""Asking a service whether it is ready, without an HTTP library: the parent process stays small."""

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

_SECONDS_BETWEEN_TRIES: Final = 0.05


async def wait_until_ready(url: str) -> None:
    """Return when `GET /ready` answers anything but 503, which is what a service says while it is not ready."""
    while not await _is_ready(url):  # noqa: ASYNC110 (another process cannot set an event)
        await asyncio.sleep(_SECONDS_BETWEEN_TRIES)


async def _is_ready(url: str) -> bool:
    address = urlsplit(url)
    try:
        tls = _context() if address.scheme == "https" else None
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=tls)
    except OSError:
        return False
    try:
        writer.write(f"GET /ready HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        status_line = await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
    # Who has shaken hands and then says nothing is there, and asks for a certificate, which only gateways have.
    is_secret = tls is not None and not status_line
    return is_secret or (status_line.startswith(b"HTTP/1.") and b" 503 " not in status_line)


def _context() -> ssl.SSLContext:
    """Return a context that takes any certificate: the socket is this process's own, and no secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
