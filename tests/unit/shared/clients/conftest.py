"""Tests of what stands on sockets run on both event loops: uvloop is what the services use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop

from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Transport

ON_BOTH_LOOPS = {
    "test_dns_sources.py",
    "test_full_duplex.py",
    "test_keepalive.py",
    "test_service_client.py",
    "test_stream_contract.py",
    "test_stream_timeouts.py",
    "test_transport_contract.py",
}

type Connect = Callable[..., Transport]
type LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ON_BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture(params=[KeepAliveTransport, HTTPXTransport], ids=["keepalive", "httpx"])
async def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Every transport that carries requests itself."""
    opened: list[Transport] = []
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def connect(url: str, **options: Any) -> Transport:
        transport: Transport = request.param(url, **{"timeout": 5.0, **options})
        opened.append(transport)
        return transport

    yield connect
    for transport in opened:
        await transport.aclose()
