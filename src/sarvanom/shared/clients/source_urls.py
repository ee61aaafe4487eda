"""From a setting to the source of endpoints that it names."""

import re
from typing import TYPE_CHECKING, Final

from sarvanom.shared.clients.endpoint_sources import EndpointSource, StaticSource
from sarvanom.shared.clients.keepalive import parse_origin

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

_HOST: Final = re.compile(r"(?=.*[A-Za-z_])[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_SERVICE: Final = re.compile(r"_[A-Za-z0-9-]+\._[A-Za-z0-9-]+\.[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


def parse_source(urls: str, resolver: "Resolver | None" = None) -> EndpointSource:
    """Return the source that `urls` names.

    It is one of `http://host:port,http://…`, a fixed list; `dns://host:port`, every address of a host; and
    `dns+srv://_service._proto.name`, service records.

    Raises:
        ValueError: it is none of these; the message says what would be right.
    """
    scheme, _, rest = urls.strip().partition("://")
    match scheme.lower():
        case "http":
            return StaticSource(_parse_static(url.strip()) for url in urls.split(","))
        case "dns":
            return _parse_address(urls, rest, resolver)
        case "dns+srv":
            return _parse_service(urls, rest, resolver)
        case _:
            raise ValueError(f"{urls!r} is neither a list of http://host:port, nor dns://host:port, nor dns+srv://…")


def _parse_static(url: str) -> str:
    parse_origin(url)
    return url.rstrip("/")


def _parse_address(url: str, rest: str, resolver: "Resolver | None") -> EndpointSource:
    from sarvanom.shared.clients.dns_sources import AddressSource  # takes longer to import than all the rest

    host, _, port = rest.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{url!r} is not of the form dns://host:port; an address needs no DNS, write http://")
    return AddressSource(host, int(port), resolver)


def _parse_service(url: str, name: str, resolver: "Resolver | None") -> EndpointSource:
    from sarvanom.shared.clients.dns_sources import ServiceRecordSource  # takes longer to import than all the rest

    if not _SERVICE.fullmatch(name):
        raise ValueError(f"{url!r} is not of the form dns+srv://_service._proto.name")
    return ServiceRecordSource(name, resolver)
