"""From a setting to the source of endpoints that it names."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sarvanom.shared.clients.endpoint_sources import EndpointSource, StaticSource
from sarvanom.shared.clients.keepalive import parse_origin
from sarvanom.shared.tls import FollowedContext, follow_client

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

_HOST: Final = re.compile(r"(?=.*[A-Za-z_])[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_SERVICE: Final = re.compile(r"_[A-Za-z0-9-]+\._[A-Za-z0-9-]+\.[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


def parse_source(urls: str, resolver: "Resolver | None" = None, *, is_secure: bool = False) -> EndpointSource:
    """Return the source that `urls` names.

    It is one of `http://host:port,https://…`, a fixed list; `dns://host:port`, every address of a host; and
    `dns+srv://_service._proto.name`, service records. If it `is_secure`, every instance is called over TLS.

    Raises:
        ValueError: it is none of these; the message says what would be right.
    """
    scheme, _, rest = urls.strip().partition("://")
    match scheme.lower():
        case "http" | "https":
            return StaticSource([_parse_static(url.strip(), is_secure=is_secure) for url in urls.split(",")])
        case "dns":
            return _parse_address(urls, rest, resolver, "https" if is_secure else "http")
        case "dns+srv":
            return _parse_service(urls, rest, resolver, "https" if is_secure else "http")
        case _:
            raise ValueError(f"{urls!r} is neither a list of http://host:port, nor dns://host:port, nor dns+srv://…")


def proven_name(urls: str) -> str | None:
    """Return the name that instances must prove if a name of the DNS leads to them, else None: each its own.

    It is the one that the setting holds: what the DNS says of it is proven by nobody (RFC 9525, section 2).
    """
    scheme, _, rest = urls.strip().partition("://")
    match scheme.lower():
        case "dns":
            return rest.rpartition(":")[0].rstrip(".")
        case "dns+srv":
            return rest.split(".", 2)[-1].rstrip(".")
        case _:
            return None


def names_https(urls: str) -> bool:
    """Tell whether any of the URLs asks for TLS by itself."""
    return any(url.strip().lower().startswith("https://") for url in urls.split(","))


def hop_context(urls: str, ca: Path | None, certificate: Path | None, key: Path | None) -> FollowedContext | None:
    """Return what a gateway proves itself with to the instances, and they to it; None if they talk without TLS."""
    if ca is None and certificate is None and not names_https(urls):
        return None
    return follow_client(ca, certificate, key)


def _parse_static(url: str, *, is_secure: bool) -> str:
    if not parse_origin(url).is_secure and is_secure:
        raise ValueError(f"{url!r} is no URL of the form https://host:port, as all must be that prove what they are")
    return url.rstrip("/")


def _parse_address(url: str, rest: str, resolver: "Resolver | None", protocol: str) -> EndpointSource:
    from sarvanom.shared.clients.dns_sources import AddressSource  # takes longer to import than all the rest

    host, _, port = rest.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{url!r} is not of the form dns://host:port; an address needs no DNS, write http://")
    return AddressSource(host, int(port), resolver, protocol)


def _parse_service(url: str, name: str, resolver: "Resolver | None", protocol: str) -> EndpointSource:
    from sarvanom.shared.clients.dns_sources import ServiceRecordSource  # takes longer to import than all the rest

    if not _SERVICE.fullmatch(name):
        raise ValueError(f"{url!r} is not of the form dns+srv://_service._proto.name")
    return ServiceRecordSource(name, resolver, protocol)
