"""Opens a connection, or says that nothing could be sent."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.tls import FollowedContext

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens; with `tls`, it must prove that it is `name`, or else `host`."""

    host: str
    port: int
    tls: FollowedContext | None = None
    name: str | None = None


async def dial[P: asyncio.Protocol](protocol: Callable[[], P], address: Address, seconds: float) -> P:
    """Return the protocol of a new connection; raises `ServiceUnavailable` if there is none after so many seconds."""
    host, port, tls = address.host, address.port, address.tls
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            if tls is None:
                _, connection = await loop.create_connection(protocol, host, port)
            else:
                name = address.name or host
                _, connection = await loop.create_connection(
                    protocol, host, port, ssl=tls.current, server_hostname=name, ssl_shutdown_timeout=1.0
                )
    except ssl.SSLError as error:
        _log.warning("no TLS with %s:%d: %s", host, port, getattr(error, "verify_message", None) or error.reason)
        raise ServiceUnavailable("The service cannot be reached: it does not prove what it is") from None
    except (OSError, UnicodeError):
        raise ServiceUnavailable("The service cannot be reached") from None
    return connection
