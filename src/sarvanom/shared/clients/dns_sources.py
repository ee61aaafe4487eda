"""Finds the instances of a service in the DNS: by the addresses of a name, or by its service records (RFC 2782)."""

import asyncio
from abc import abstractmethod
from typing import NamedTuple

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.name import Name, root
from dns.rdtypes.IN.SRV import SRV

from sarvanom.shared.clients.endpoint_sources import EndpointSource, Finding, Target
from sarvanom.shared.errors import ServiceUnavailable


class _Addresses(NamedTuple):
    hosts: list[str]
    ttl: float


class _DNSSource(EndpointSource):
    """Asks a resolver; the system's, which is set up when it is first needed, if none is given."""

    def __init__(self, resolver: Resolver | None = None, protocol: str = "http") -> None:
        self._resolver = resolver
        self._protocol = protocol

    async def find(self) -> Finding:
        """Ask, and put the answer in an order that does not depend on the server's."""
        try:
            if self._resolver is None:
                self._resolver = Resolver()
            targets, ttl = await self._ask(self._resolver)
        except DNSException as error:
            raise ServiceUnavailable(f"The DNS names no instance of the service ({type(error).__name__})") from None
        if not targets:
            raise ServiceUnavailable("The DNS says that there is no instance of the service")
        return Finding(tuple(sorted(targets, key=lambda target: (target.priority, target.url))), ttl)

    def _url(self, host: str, port: int) -> str:
        return f"{self._protocol}://[{host}]:{port}" if ":" in host else f"{self._protocol}://{host}:{port}"

    @abstractmethod
    async def _ask(self, resolver: Resolver) -> Finding: ...


class AddressSource(_DNSSource):
    """The instances are the A and AAAA records of a name; all listen on the same port."""

    def __init__(self, host: str, port: int, resolver: Resolver | None = None, protocol: str = "http") -> None:
        super().__init__(resolver, protocol)
        self._host = host
        self._port = port

    async def _ask(self, resolver: Resolver) -> Finding:
        found = await _addresses(resolver, self._host)
        return Finding([Target(self._url(host, self._port)) for host in found.hosts], found.ttl)


class ServiceRecordSource(_DNSSource):
    """The instances are what the SRV records of `_service._proto.name` point to.

    A weight of 0, which asks for hardly any requests, counts as 1. Targets without an address are left out.
    """

    def __init__(self, name: str, resolver: Resolver | None = None, protocol: str = "http") -> None:
        super().__init__(resolver, protocol)
        self._name = name

    async def _ask(self, resolver: Resolver) -> Finding:
        answer = await resolver.resolve(self._name, "SRV", search=True)
        records = [record for record in answer if isinstance(record, SRV) and record.target != root]
        names = list(dict.fromkeys(record.target for record in records))
        found = dict(zip(names, await asyncio.gather(*(_known(resolver, name) for name in names)), strict=True))
        targets = {
            Target(self._url(host, record.port), record.priority, max(record.weight, 1))
            for record in records
            for host in found[record.target].hosts
        }
        return Finding(list(targets), min([answer.chaining_result.minimum_ttl, *(one.ttl for one in found.values())]))


async def _addresses(resolver: Resolver, name: str | Name) -> _Addresses:
    answers = await resolver.resolve_name(name, search=True)
    return _Addresses(list(answers.addresses()), min(one.chaining_result.minimum_ttl for one in answers.values()))


async def _known(resolver: Resolver, name: Name) -> _Addresses:
    """Return the addresses of one target among others, or none, to be asked for again soon."""
    try:
        return await _addresses(resolver, name)
    except DNSException:
        return _Addresses([], 0.0)
