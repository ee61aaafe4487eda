"""The instances of crud, each asked for itself: whether it is ready, knows this gateway, and how it is."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from sarvanom.security.principals import GATEWAY
from sarvanom.security.statements import HEADER, Statements
from sarvanom.services.gateway.questions import Questions
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Request, Transport
from sarvanom.shared.contracts.discovery import Endpoint
from sarvanom.shared.contracts.service_contracts import ServiceDiscoveryContract
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed
from sarvanom.shared.observations import UpstreamState, observed
from sarvanom.web.health import DETAILED_PATH, Dependency
from sarvanom.web.health_models import DependencyCheck, InstanceReport, ProcessReport, Readiness
from sarvanom.web.shared_looks import LOOK_SECONDS, SharedLook

_INSTANCE_SECONDS: Final = LOOK_SECONDS + 0.5
"""An instance finds out in `LOOK_SECONDS` that its database hangs, and then still has to say so."""
CRUD_SECONDS: Final = _INSTANCE_SECONDS + 0.5
_OK: Final = 200


class Instances:
    """Follows discovery, and asks every instance over connections of its own, which no other request waits for."""

    def __init__(
        self,
        discovery: ServiceDiscoveryContract,
        connect: Callable[[str], Transport],
        statements: Statements,
        recognition: Recognition,
    ) -> None:
        """Take what belongs to others; what `connect` returns is closed here."""
        self._discovery = discovery
        self._connect = connect
        self._statements = statements
        self._recognition = recognition
        self._instances: dict[str, _Instance] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def check(self) -> None:
        """Return as soon as one instance is well; raises `ServiceUnavailable` if none is."""
        asked = [asyncio.create_task(one.readiness.check()) for one in await self._follow()]
        try:
            for next_one in asyncio.as_completed(asked):
                if (await next_one).ok:
                    return
        finally:
            for task in asked:
                task.cancel()  # it only waits: the look is everybody's
        raise ServiceUnavailable(asked[0].result().error or "No instance is well")

    async def checks(self, within: float | None) -> list[DependencyCheck]:
        """Return how each is, if there are several, by number: where they are is not for strangers."""
        instances = await self._known(within)
        if len(instances) < 2:
            return []
        checks = await asyncio.gather(*(one.readiness.check(within) for one in instances))
        return [check.model_copy(update={"name": f"crud {n}"}) for n, check in enumerate(checks, 1)]

    async def reports(self) -> list[InstanceReport]:
        """Return how each is, in the same order, and what it says of itself."""
        states = {state.instance: state for state in observed(UpstreamState)}
        instances = await self._known(CRUD_SECONDS)
        return await asyncio.gather(
            *(one.report(f"crud {n}", states.get(one.url)) for n, one in enumerate(instances, 1))
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(one.transport.aclose() for one in self._instances.values()), *self._closing)

    async def _known(self, within: float | None) -> Sequence["_Instance"]:
        """Return the instances, as far as it is known in time which there are."""
        try:
            async with asyncio.timeout(within):
                return await self._follow()
        except (TimeoutError, ServiceUnavailable):
            return list(self._instances.values())

    async def _follow(self) -> Sequence["_Instance"]:
        endpoints = {endpoint.url: endpoint for endpoint in await self._discovery.endpoints()}
        for url in self._instances.keys() - endpoints.keys():
            task = asyncio.create_task(self._instances.pop(url).transport.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._instances = {url: self._instances.get(url) or self._meet(url) for url in sorted(endpoints)}
        for url, endpoint in endpoints.items():
            self._instances[url].endpoint = endpoint
        return list(self._instances.values())

    def _meet(self, url: str) -> "_Instance":
        return _Instance(url, self._connect(url), self._statements, self._recognition)


class _Instance:
    """One instance of crud."""

    def __init__(self, url: str, transport: Transport, statements: Statements, recognition: Recognition) -> None:
        self.url = url
        self.transport = transport
        self.endpoint = Endpoint(url)
        look = SharedLook(f"crud at {url}", self._ask, timeout=_INSTANCE_SECONDS)
        self.readiness = Dependency(look, is_required=False)
        self._report = SharedLook(f"report of crud at {url}", self._ask_report, timeout=_INSTANCE_SECONDS)
        self._statements = statements
        self._questions = Questions(transport, statements, recognition)

    async def report(self, name: str, state: UpstreamState | None) -> InstanceReport:
        """Return how it is, and what it says of itself."""
        check, report = await asyncio.gather(self.readiness.check(), self._report.look())
        return InstanceReport(
            **check.model_dump(exclude={"name"}),
            name=name,
            url=self.url,
            healthy=self.endpoint.healthy,
            requests_in_progress=0 if state is None else state.under_way,
            report=report.value,
        )

    async def _ask(self) -> None:
        """Return if it is ready and knows this gateway; raises what is wrong."""
        answer = await self.transport.send(Request("GET", b"/ready", [], b""))
        if answer.status != _OK:
            raise ServiceUnavailable(_why_not(answer.body))
        await self._questions.check()

    async def _ask_report(self) -> ProcessReport:
        target = DETAILED_PATH.encode()
        statement = self._statements.sign(GATEWAY, "GET", target, [], b"")
        answer = await self.transport.send(Request("GET", target, [(HEADER, statement)], b""))
        if answer.status != _OK:
            raise error_from_response(answer)
        try:
            return ProcessReport.model_validate_json(answer.body, extra="ignore")
        except ValidationError:
            raise UpstreamFailed("crud's answer cannot be read") from None


def _why_not(body: bytes) -> str:
    """Return why an instance says that it is not ready."""
    try:
        checks = Readiness.model_validate_json(body, extra="ignore").checks
    except ValidationError:
        return "crud is not ready"
    wrong = [f"{check.name}: {check.error}" for check in checks if check.required and not check.ok]
    return f"crud is not ready ({'; '.join(wrong)})" if wrong else "crud is not ready"
