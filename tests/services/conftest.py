"""What the tests of running services share: a client of each service, and ids that nobody else uses."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, SignedRequests
from tests.harness.system import RunningProcess

type Clients = dict[str, httpx2.Client]


@pytest.fixture(scope="session")
def clients(system: RunningProcess) -> Iterator[Clients]:
    """HTTP clients, by the name of the service: an administrator's of the gateway, a gateway's of crud."""
    with ExitStack() as stack:
        gateway = httpx2.Client(base_url=system.gateway_url, timeout=20, headers=ADMIN_HEADERS)
        crud = httpx2.Client(base_url=system.crud_url, timeout=20, auth=SignedRequests())
        yield {"gateway": stack.enter_context(gateway), "crud": stack.enter_context(crud)}


@pytest.fixture(params=["gateway", "crud"])
def http(request: pytest.FixtureRequest, clients: Clients) -> httpx2.Client:
    """A client of the gateway, then of crud: both must behave the same."""
    return clients[request.param]


@pytest.fixture
def gateway(clients: Clients) -> httpx2.Client:
    return clients["gateway"]


@pytest.fixture
def id() -> str:
    """An id that no other test uses."""
    return f"t-{uuid4().hex}"
