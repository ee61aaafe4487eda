"""Limits of two gateways over one Valkey, also while that is killed and started again."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, SignedRequests
from tests.harness.system import RunningProcess
from tests.harness.valkey import ValkeyServer, running_valkey
from tests.services.edge_gateways import running_gateway
from tests.services.keys import make_key

LIMIT = 300
FIVE = ("SARVANOM_LIMIT_ANONYMOUS_PER_MINUTE", "SARVANOM_LIMIT_READS_PER_MINUTE")


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with running_valkey() as running:
        yield running


@pytest.fixture(scope="module")
def gateways(
    system: RunningProcess, server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RunningProcess]]:
    """Two gateways behind a proxy, which says on whose behalf it asks."""
    settings = {
        "SARVANOM_VALKEY_URL": server.url,
        "SARVANOM_TRUSTED_PROXIES": "127.0.0.1",
        "SARVANOM_LIMIT_ANONYMOUS_PER_MINUTE": str(LIMIT),
        "SARVANOM_LIMIT_READS_PER_MINUTE": str(LIMIT),
        "SARVANOM_LIMIT_STREAMS": "2",
    }
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("gateway") for _ in range(2)]
        yield [stack.enter_context(running_gateway(folder, system.crud_port, **settings)) for folder in folders]


def somewhere() -> str:
    """Return an address of a site of its own."""
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


class Load:
    """What a caller asked of several gateways, and what came of it.

    With a key it calls from anywhere; without one it is a stranger at one address, who is refused once it was counted.
    """

    def __init__(self, key: str | None = None) -> None:
        self.admitted = 200 if key else 401
        self._headers = {"Authorization": f"Bearer {key}"} if key else {"X-Forwarded-For": somewhere()}
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.began = time.monotonic()
        self.ended = self.began

    async def ask(self, client: httpx2.AsyncClient, url: str) -> httpx2.Response:
        began = time.monotonic()
        headers = {"X-Forwarded-For": somewhere(), **self._headers}
        answer = await client.get(f"{url}/cache-stats", headers=headers)
        self.ended = time.monotonic()
        self.slowest = max(self.slowest, self.ended - began)
        self.statuses[answer.status_code] += 1
        return answer

    @property
    def limit(self) -> int:
        """How much may be admitted in the time that it took, which on a busy machine may be more than a minute."""
        return LIMIT * (1 + int((self.ended - self.began) / 60))

    async def burst(self, gateways: list[RunningProcess], requests: int, connections: int = 8) -> None:
        """Send so many requests as fast as they are answered, over all gateways alike."""
        async with httpx2.AsyncClient(timeout=20) as client:

            async def send(number: int) -> None:
                for _ in range(requests // connections):
                    await self.ask(client, gateways[number % len(gateways)].gateway_url)

            await asyncio.gather(*(send(number) for number in range(connections)))


def logged(gateway: RunningProcess, event: str) -> int:
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    return sum(line["event"] == event for line in lines)


@pytest.fixture
def known(gateway: httpx2.Client) -> Callable[[], Load]:
    """Makes the load of another principal."""
    return lambda: Load(make_key(gateway, roles=["admin"])["key"])


@pytest.mark.parametrize("quota", ["anonymous", "reads"])
async def test_a_burst_over_two_gateways_is_admitted_up_to_the_limit(
    gateways: list[RunningProcess], known: Callable[[], Load], quota: str
) -> None:
    """A stranger is counted by its address, a principal wherever it calls from."""
    caller = known if quota == "reads" else Load
    load = caller()
    await load.burst(gateways, 3 * LIMIT)
    assert set(load.statuses) == {load.admitted, 429}
    assert LIMIT * 0.99 <= load.statuses[load.admitted] <= load.limit * 1.01
    async with httpx2.AsyncClient() as client:
        for gateway in gateways:
            refused = await load.ask(client, gateway.gateway_url)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert 1 <= int(refused.headers["Retry-After"]) <= 61
            assert refused.headers["RateLimit"] == f'"{quota}";r=0;t={refused.headers["Retry-After"]}'
            assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        other = await caller().ask(client, gateways[0].gateway_url)
        assert other.headers["RateLimit"].startswith(f'"{quota}";r={LIMIT - 1};t=')
        assert other.headers["x-ratelimit-limit-requests"] == str(LIMIT)


async def test_watches_at_one_gateway_take_places_at_the_other(
    system: RunningProcess, gateways: list[RunningProcess]
) -> None:
    headers = {**ADMIN_HEADERS, "Accept": "text/event-stream"}
    first, second = (f"{gateway.gateway_url}/changes" for gateway in gateways)
    async with httpx2.AsyncClient(timeout=20) as client:
        async with client.stream("GET", first, headers=headers) as one, client.stream("GET", first, headers=headers):
            assert '"streams";q=2;qu="concurrent-requests"' in one.headers["RateLimit-Policy"]
            refused = await client.get(second, headers=headers)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
            assert "'streams'" in refused.json()["detail"]
        # That a reader is gone is seen when there is something to send to it.
        async with asyncio.timeout(10):
            status = 0
            while status != 200:
                change = {"setting_key": f"limits/{uuid4().hex}", "setting_value": 1}
                created = await client.post(f"{system.crud_url}/settings", json=change, auth=SignedRequests())
                assert created.status_code == 201
                async with client.stream("GET", second, headers=headers) as watch:
                    status = watch.status_code
                    assert status in (200, 429)


async def test_valkey_is_killed_and_started_again_in_the_midst(
    gateways: list[RunningProcess], server: ValkeyServer, known: Callable[[], Load]
) -> None:
    throughout, before, away, after = (known() for _ in range(4))
    steady = asyncio.create_task(throughout.burst(gateways, 1500, connections=4))
    await before.burst(gateways, 2 * LIMIT)
    server.kill()
    await away.burst(gateways, 3 * LIMIT)
    for gateway in gateways:
        assert logged(gateway, "limits are not shared: valkey is away") == 1
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(10):
        while not all(logged(gateway, "limits are shared again") for gateway in gateways):  # noqa: ASYNC110 (a log)
            await asyncio.sleep(0.05)
    await after.burst(gateways, 2 * LIMIT)
    await steady
    for load in (before, away, throughout, after):
        assert set(load.statuses) <= {200, 429}
        assert load.slowest < 5
    assert LIMIT * 0.99 <= before.statuses[200] <= before.limit * 1.01
    assert LIMIT <= away.statuses[200] <= 2 * away.limit
    assert LIMIT * 0.99 <= after.statuses[200] <= after.limit * 1.01
    assert LIMIT * 0.99 <= throughout.statuses[200] <= 2 * throughout.limit
    for gateway in gateways:
        assert logged(gateway, "limits are not shared: valkey is away") == 1
        assert logged(gateway, "limits are shared again") == 1
        assert server.password not in gateway.log.read_text()


def test_a_gateway_starts_and_limits_without_its_valkey(
    system: RunningProcess, server: ValkeyServer, tmp_path: Path
) -> None:
    server.kill()
    settings = {"SARVANOM_VALKEY_URL": server.url, **dict.fromkeys(FIVE, "5")}
    try:
        with running_gateway(tmp_path, system.crud_port, **settings) as gateway:
            for headers, admitted in (({}, 401), (ADMIN_HEADERS, 200)):
                asked = [httpx2.get(f"{gateway.gateway_url}/cache-stats", headers=headers) for _ in range(7)]
                assert [answer.status_code for answer in asked] == [admitted] * 5 + [429] * 2
            assert httpx2.get(f"{gateway.gateway_url}/health").status_code == 200
            assert httpx2.get(f"{gateway.gateway_url}/ready").status_code == 200
            assert server.password not in gateway.log.read_text()
    finally:
        server.start()
