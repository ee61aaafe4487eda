"""Which names this service may be called by, so that no forged Host header ends up in a link or a cache."""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.errors import UntrustedHost

_MAX_REMEMBERED = 1024
_MAX_LENGTH = 262
_MAX_PORT = 65535
_split = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?)(?::([0-9]{0,5}))?").fullmatch


class TrustedHostMiddleware:
    """Raises `UntrustedHost` unless the one Host header names an allowed host, at any port.

    `allowed` holds names and addresses, `*.example.org` for every name below example.org, or `*` for any.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._names: set[str] = set()
        self._suffixes: tuple[str, ...] = ()
        for pattern in allowed:
            self._allow(pattern)
        # Headers seen and found good, as they came; bounded, since a wildcard has no end of names.
        self._remembered: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _allow(self, pattern: str) -> None:
        if pattern == "*":
            self._suffixes += ("",)
            return
        is_wildcard = pattern.startswith("*.")
        bare = pattern.removeprefix("*.")
        host = _host_of(f"[{bare}]" if ":" in bare and "[" not in bare else bare)
        if host is None or "]:" in pattern:
            raise ValueError(f"{pattern!r} is no host, `*.` and a domain, or `*`")
        if is_wildcard:
            self._suffixes += (f".{host}",)
        else:
            self._names.add(host)

    def _check(self, scope: Scope) -> None:
        given: bytes | None = None
        for name, value in scope["headers"]:
            if name == b"host":
                if given is not None:
                    raise UntrustedHost("There must be one Host header, not several")
                given = value
        if given is None:
            raise UntrustedHost("There must be a Host header")
        if given not in self._remembered:
            self._judge(given)

    def _judge(self, given: bytes) -> None:
        host = _host_of(given.decode("latin-1"))
        if host is None:
            raise UntrustedHost("The Host header is neither a name nor an address")
        if host not in self._names and not host.endswith(self._suffixes):
            raise UntrustedHost("The Host header names no host that is served here")
        if len(self._remembered) < _MAX_REMEMBERED:
            self._remembered.add(given)


def _host_of(header: str) -> str | None:
    """Return the host of a Host header (RFC 9110, 7.2) in its one canonical form, or None if it is malformed."""
    found = _split(header) if len(header) <= _MAX_LENGTH else None
    if found is None:
        return None
    address, name, port = found.groups()
    if port and int(port) > _MAX_PORT:
        return None
    if name is not None:
        return str(name).lower()
    try:
        return IPv6Address(address).compressed
    except AddressValueError:
        return None
