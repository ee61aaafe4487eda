"""Raw requests of a fuzzer, sent to both services: no answer blames the server, and none is one too many."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.drafts import requests
from tests.fuzz.sockets import Judge
from tests.harness.system import RunningProcess, running_system
from tests.services.raw_http import ask


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Judges a system of its own: what is sent may delete, and undo, anything."""
    with running_system(tmp_path_factory.mktemp("fuzz")) as running:
        yield Judge(running)


def test_whatever_is_sent_nothing_fails_and_the_services_are_well_afterwards(judge: Judge) -> None:
    """The fuzzer got somewhere, too: past the parser of HTTP, past who asks, and past the parser of JSON.

    It drafts the same requests every time, for how far it gets is no matter of luck; `python -m tests.fuzz` drafts
    others.
    """

    @settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sent=requests())
    def send(sent: bytes) -> None:
        judge.send(sent)

    send()
    system: RunningProcess = judge.system
    assert [ask(port, "/ready").status for port in (system.gateway_port, system.crud_port)] == [200, 200]
    assert {200, 400, 404, 422} <= set(judge.statuses)
    assert judge.statuses[401] < sum(judge.statuses.values()) / 4
    judge.check_log()
