"""Instances of a service, and who says which there are, for tests of balancing."""

from collections.abc import Sequence

from sarvanom.shared.clients.transport import Request, Transport
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.shared.errors import ServiceUnavailable
from tests.unit.shared.clients.scripted_transport import Outcome, ScriptedTransport

GET = Request("GET", b"/")


class Registry(ServiceDiscoveryContract):
    """Discovery in memory; a test says who is there."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.known: Sequence[Endpoint] = endpoints
        self.reports: list[tuple[str, bool]] = []
        self.closed = 0

    async def endpoints(self) -> Sequence[Endpoint]:
        if not self.known:
            raise ServiceUnavailable("None is known")
        return self.known

    def latest(self) -> Sequence[Endpoint]:
        return self.known

    def report(self, endpoint: Endpoint, *, healthy: bool) -> None:
        self.reports.append((endpoint.url, healthy))
        self.known = [Endpoint(one.url, healthy) if one.url == endpoint.url else one for one in self.known]

    async def aclose(self) -> None:
        self.closed += 1


class Fleet:
    """The instances, by URL; what is not scripted answers 200."""

    def __init__(self, **outcomes: Sequence[Outcome]) -> None:
        self.outcomes = outcomes
        self.transports: dict[str, ScriptedTransport] = {}

    def connect(self, url: str) -> Transport:
        transport = self.transports[url] = ScriptedTransport(self.outcomes.get(url, [200]))
        return transport

    def counts(self) -> dict[str, int]:
        return {url: len(one.requests) for url, one in self.transports.items()}


def endpoints(*urls: str) -> list[Endpoint]:
    return [Endpoint(url) for url in urls]
