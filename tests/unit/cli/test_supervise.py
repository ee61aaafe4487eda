"""From specifications to workers: sockets, URLs and environments."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import click
import pytest

from sarvanom.cli import supervisor as supervisor_module
from sarvanom.cli.sockets import listen
from sarvanom.cli.supervisor import Announce, ServiceSpec, Worker, _url, supervise
from sarvanom.settings import CrudSettings, UpSettings


class Noting:
    """Stands in for the supervisor and notes what it was given."""

    given: Sequence[Any] = ()

    def __init__(
        self,
        workers: Sequence[Worker],
        urls: Sequence[str],
        stop_seconds: float,
        listeners: Mapping[str, socket.socket],
    ) -> None:
        assert {worker.service for worker in workers} == set(listeners)
        Noting.given = (workers, urls, stop_seconds)

    async def run(self, announce: Announce) -> int:
        announce([])
        return 7


@pytest.fixture(autouse=True)
def _noting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "Supervisor", Noting)


CRUD, GATEWAY = ServiceSpec("crud", "127.0.0.1", 0), ServiceSpec("gateway", "127.0.0.1", 0)


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Close the sockets that `supervise` leaves to the end of its process."""
    opened: list[Any] = []

    def note(host: str, port: int) -> Any:
        opened.append(listen(host, port))
        return opened[-1]

    monkeypatch.setattr(supervisor_module, "listen", note)
    yield opened
    for one in opened:
        one.close()


def test_both_services_share_settings_and_the_gateway_learns_where_crud_is(listened: list[Any]) -> None:
    settings = UpSettings.load(workers=2, stop_seconds=4)
    announced: list[Sequence[str]] = []
    assert supervise([CRUD, GATEWAY], settings, announced.append) == 7
    workers, urls, stop_seconds = Noting.given
    ports = [one.getsockname()[1] for one in listened]
    assert (urls, stop_seconds, announced) == ([f"http://127.0.0.1:{port}" for port in ports], 4, [[]])
    assert [worker.service for worker in workers] == ["crud", "crud", "gateway", "gateway"]
    descriptors = [one.fileno() for one in listened]
    assert [worker._descriptor for worker in workers] == [d for d in descriptors for _ in range(2)]
    for worker in workers:
        assert worker._environment["SARVANOM_CRUD_URLS"] == urls[0]
        assert worker._environment["SARVANOM_WORKERS"] == "2"
        assert "PATH" in worker._environment


def test_service_alone_leaves_the_urls_of_crud_as_they_are(
    listened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SARVANOM_CRUD_URLS", raising=False)
    supervise([CRUD], CrudSettings.load(), lambda _: None)
    (worker,) = Noting.given[0]
    assert "SARVANOM_CRUD_URLS" not in worker._environment


def test_taken_port_ends_the_command_before_anything_starts(listened: list[Any]) -> None:
    Noting.given = ()
    with closing(listen("127.0.0.1", 0)) as taken:
        spec = ServiceSpec("crud", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(click.ClickException, match="Address already in use"):
            supervise([GATEWAY, spec], UpSettings.load(), lambda _: None)
    assert Noting.given == ()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("db.example", "http://db.example:80"),
    ],
)
def test_url_can_be_called_wherever_the_service_listens(host: str, url: str) -> None:
    assert _url(host, 80) == url
