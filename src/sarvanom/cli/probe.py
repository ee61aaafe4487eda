"""Asking a service whether it is ready, without an HTTP library: the parent process stays small."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

_SECONDS_BETWEEN_TRIES: Final = 0.02


async def wait_until_ready(url: str) -> None:
    """Return when `GET /ready` answers 200."""
    while not await _is_ready(url):  # noqa: ASYNC110 (another process cannot set an event)
        await asyncio.sleep(_SECONDS_BETWEEN_TRIES)


async def _is_ready(url: str) -> bool:
    address = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        return False
    try:
        writer.write(f"GET /ready HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
