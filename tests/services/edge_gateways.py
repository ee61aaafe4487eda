"""Gateways with settings of their own, for tests of the edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.system import RunningProcess


@contextmanager
def running_gateway(data_dir: Path, crud_port: int, **settings: str) -> Iterator[RunningProcess]:
    """Run a gateway alone, in front of whatever listens, or not, on the port of crud."""
    gateway = RunningProcess(("gateway",), data_dir, crud_port=crud_port, settings=settings)
    try:
        gateway.start(f"{gateway.gateway_url}/health")
        yield gateway
    finally:
        gateway.stop()
