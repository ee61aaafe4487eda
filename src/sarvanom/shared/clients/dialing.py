"""Opens a connection, or says that nothing could be sent."""

import asyncio
from collections.abc import Callable

from sarvanom.shared.errors import ServiceUnavailable


async def dial[P: asyncio.Protocol](protocol: Callable[[], P], host: str, port: int, seconds: float) -> P:
    """Return the protocol of a new connection; raises `ServiceUnavailable` if there is none after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(protocol, host, port)
    except (OSError, UnicodeError):
        raise ServiceUnavailable("The service cannot be reached") from None
    return connection
