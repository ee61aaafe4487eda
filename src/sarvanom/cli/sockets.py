"""Sockets that are opened before anything else starts, so that a taken port is found at once."""

import os
import socket
from typing import Final

_BACKLOG: Final = 2048


class PortUnavailable(Exception):
    """The address cannot be listened on; the text says why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that child processes may inherit.

    Raises:
        PortUnavailable: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise PortUnavailable(f"Cannot listen on {host}:{port}: {_reason(error)}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortUnavailable(f"Cannot listen on {host}:{port}: {_reason(error)}") from None
    listener.set_inheritable(True)
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    """Return what the system says, without Python's number of it."""
    if isinstance(error, UnicodeError):
        return "no such name can exist"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
