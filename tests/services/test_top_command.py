"""`sarvanom top` before a running system: its numbers are those of what was asked, and they move in a terminal."""

import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from sarvanom.cli.monitoring.monitor import Monitor, ServiceWatch, Snapshot
from sarvanom.cli.monitoring.readings import CACHE_LOOKUPS, COMMITTED_WRITES, REQUESTS
from sarvanom.cli.monitoring.requests import busiest_routes, figures_of
from sarvanom.cli.monitoring.tokens import MetricsTokens
from sarvanom.shared.clients.discovery import ServiceDiscoveryClient
from sarvanom.shared.clients.endpoint_sources import StaticSource
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from tests.harness.identity import ADMIN_HEADERS
from tests.harness.system import RunningProcess, running_system
from tests.harness.terminal import Terminal, terminal
from tests.harness.waiting import until
from tests.services.commands import SARVANOM, children, environment, run

TOP: list[str | Path] = [SARVANOM, "top", "--interval", "0.5"]
COLOURED = re.compile(rb"\x1b\[[0-9;]*\b(3[0-7]|38|9[0-7])[;m]")


def settings_of(system: RunningProcess, **settings: str) -> dict[str, str]:
    return {
        "SARVANOM_DATA_DIR": str(system.data_dir),
        "SARVANOM_URL": system.gateway_url,
        "SARVANOM_CRUD_URLS": system.crud_url,
        **settings,
    }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A system of two workers a service, and nobody else's."""
    with running_system(tmp_path_factory.mktemp("watched"), SARVANOM_WORKERS="2") as system:
        yield system


@pytest.fixture
def client(watched: RunningProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=watched.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
        yield client


def user(name: str) -> dict[str, str]:
    return {"user_id": name, "username": name, "email": f"{name}@example.org"}


@contextmanager
def traffic(system: RunningProcess, name: str) -> Iterator[None]:
    """Ask for this and that, about a hundred times a second, until the end of the block."""
    ended = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
            number = 0
            while not ended.wait(0.02):
                number += 1
                client.post("/users", json=user(f"{name}-{number}"))
                client.get(f"/users/{name}-{number}")
                client.get("/cache/nothing")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


def number(text: str, pattern: str) -> float:
    """Return the number that a pattern finds; -1 if there is none."""
    found = re.search(pattern, text)
    return -1.0 if found is None else float(found[1].replace(",", ""))


def rate_of(screen: Terminal, label: str) -> float:
    return number(screen.line(label), rf"^{re.escape(label)} ([\d,.]+) ")


def test_rates_times_seconds_are_what_was_asked(watched: RunningProcess, client: httpx2.Client) -> None:
    """With what comes of nobody else: the looks themselves, of which the first one is over by the second."""
    tokens = MetricsTokens(None, watched.data_dir)

    def watch(service: str, url: str) -> ServiceWatch:
        return ServiceWatch(service, ServiceDiscoveryClient(StaticSource([url])), KeepAliveTransport, tokens)

    async def has_started() -> bool:
        """Tell whether both workers of crud have written the administrator's key, which each does at its start."""
        crud = watch("crud", watched.crud_url)
        seen = await crud.look()
        await crud.aclose()
        return sum(reading.counters.get((COMMITTED_WRITES,), 0.0) for reading in seen.readings) >= 2

    async def look() -> tuple[Snapshot, Snapshot]:
        async with asyncio.timeout(60):
            while not await has_started():  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.1)
        monitor = Monitor(watch("gateway", watched.gateway_url), watch("crud", watched.crud_url))
        first = await monitor.look()
        for number in range(20):
            for method, path, body in (
                ("POST", "/users", user(f"exact-{number}")),
                ("POST", "/users", user(f"exact-{number}")),
                ("GET", f"/users/exact-{number}", None),
                ("GET", "/cache/nothing", None),
                ("GET", "/cache/nothing", None),
            ):
                await asyncio.to_thread(client.request, method, path, json=body)
        second = await monitor.look()
        await monitor.aclose()
        return first, second

    first, second = asyncio.run(look())

    def grown(service: str, name: str, *labels: str) -> float:
        before, after = getattr(first, service), getattr(second, service)
        seconds = after.readings[0].at - before.readings[0].at
        return float((after.rate(name, *labels) or 0.0) * seconds)

    assert first.gateway.rates is None
    assert grown("gateway", REQUESTS) == pytest.approx(101)
    assert grown("gateway", REQUESTS, "/users", "POST", "2xx") == pytest.approx(20)
    assert grown("gateway", REQUESTS, "/users", "POST", "4xx") == pytest.approx(20)
    assert grown("crud", CACHE_LOOKUPS, "miss") == pytest.approx(40)
    assert grown("crud", COMMITTED_WRITES) == pytest.approx(40)
    traffic = figures_of(second.gateway).traffic
    assert traffic.client_errors == pytest.approx(60 / 101)
    assert traffic.server_errors == 0
    assert [name for name, _ in busiest_routes(second.gateway)][:3] == [
        "GET /cache/{key}",
        "POST /users",
        "GET /users/{user_id}",
    ]
    p50, p95, p99 = (estimate.value for estimate in traffic.latencies if estimate is not None)
    assert 0 < p50 <= p95 <= p99 <= 10


def test_numbers_move_while_requests_come(watched: RunningProcess, client: httpx2.Client) -> None:
    with terminal(TOP, watched.data_dir, environment(settings_of(watched))) as screen:
        until(lambda: screen.line("store").startswith("store available"))
        until(lambda: 0 < rate_of(screen, "gateway") < 5)  # nobody asks but the looks themselves
        assert "p50" in screen.lines()[2]
        began = number(screen.line("store"), r"revision ([\d,]+)")
        with traffic(watched, "moving"), client.stream("GET", "/changes", headers={"Accept": "text/event-stream"}):
            until(lambda: rate_of(screen, "gateway") > 6)
            until(lambda: rate_of(screen, "crud") > 6)
            until(lambda: rate_of(screen, "POST /users") > 1)
            until(lambda: re.match(r"GET /cache/\{key\} [\d.]+ 0.0 % 100 %", screen.line("GET /cache/{key}")))
            until(lambda: screen.line("watch").startswith("watch 1 watcher · slowest "))
            until(lambda: number(screen.line("store"), r"([\d.]+) commits/s") > 1)
            until(lambda: number(screen.line("store"), r"([\d.]+) changes/s") > 0.5)
            until(lambda: screen.line("cache").startswith("cache 0.0 % hits · "))
            until(lambda: number(screen.line("store"), r"revision ([\d,]+)") > began)
            assert screen.line("upstream") == "upstream 1 of 1 instance healthy"
            assert screen.line("workers") == "workers gateway 2 · crud 2"
            assert any("estimate" in line for line in screen.lines())
        httpx2.get(f"{watched.gateway_url}/users", headers={"Authorization": "Bearer nobody"})
        until(lambda: number(screen.line("refused"), r"by authentication ([\d.]+)/s") > 0)
        until(lambda: 0 < rate_of(screen, "gateway") < 5)
        newest = client.get("/changes", params={"since": 0, "limit": 1000}).json()["data"]["items"][-1]["revision"]
        until(lambda: number(screen.line("store"), r"revision ([\d,]+)") == newest)
        screen.press(b"\x03")
        assert screen.process.wait(10) == 0
        screen.close_reading()
        assert screen.written.startswith(b"\x1b[?1049h")
        assert screen.written.endswith(b"\x1b[?25h\x1b[?1049l")
        assert b"Traceback" not in screen.written


def test_a_worker_that_is_started_anew_counts_from_nothing(watched: RunningProcess) -> None:
    with terminal(TOP, watched.data_dir, environment(settings_of(watched))) as screen:
        with traffic(watched, "killed"):
            until(lambda: rate_of(screen, "gateway") > 6)
            victim = next(pid for pid, service in children(watched).items() if service == "crud")
            os.kill(victim, signal.SIGKILL)
            until(lambda: "crud 1, 1 unreachable" in screen.line("workers"))
            until(lambda: screen.line("workers") == "workers gateway 2 · crud 2")
            until(lambda: rate_of(screen, "crud") > 6)
        shown = [float(one.replace(",", "")) for one in re.findall(r"crud +(-?[\d,.]+)", screen.text())]
        assert len(shown) > 3
        assert all(0 <= one < 1000 for one in shown)


@pytest.mark.parametrize(("rows", "columns"), [(12, 44), (5, 20), (24, 80)])
def test_a_terminal_may_be_made_smaller(watched: RunningProcess, rows: int, columns: int) -> None:
    with terminal(TOP, watched.data_dir, environment(settings_of(watched))) as screen:
        until(lambda: rate_of(screen, "gateway") >= 0)
        screen.resize(rows, columns)
        until(lambda: len(screen.lines()) == rows)
        assert all(len(line) <= columns for line in screen.lines())
        assert screen.lines()[0].startswith("SarvanOM")
        assert screen.line("gateway")


def test_without_colours_there_are_none(watched: RunningProcess) -> None:
    settings = settings_of(watched, SARVANOM_CRUD_URLS="http://127.0.0.1:9")
    for variables, has_colours in (({"NO_COLOR": "1"}, False), ({}, True)):
        with terminal(TOP, watched.data_dir, environment(settings), variables=variables) as screen:
            until(lambda: "away" in screen.line("crud at"))
            assert (COLOURED.search(screen.written) is not None) is has_colours


def test_it_stops_and_goes_on_as_shells_ask(watched: RunningProcess) -> None:
    with terminal(TOP, watched.data_dir, environment(settings_of(watched))) as screen:
        until(lambda: rate_of(screen, "gateway") >= 0)
        screen.process.send_signal(signal.SIGTSTP)
        until(lambda: os.waitid(os.P_PID, screen.process.pid, os.WSTOPPED | os.WNOHANG))
        until(lambda: screen.written.endswith(b"\x1b[?25h\x1b[?1049l"))
        stopped = len(screen.written)
        screen.process.send_signal(signal.SIGCONT)
        until(lambda: screen.written[stopped:].startswith(b"\x1b[?1049h"))
        until(lambda: screen.written[stopped:].count(b"gateway") > 2)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(10) == 128 + signal.SIGTERM
        screen.close_reading()
        assert screen.written.endswith(b"\x1b[?25h\x1b[?1049l")


def test_services_that_are_away_are_waited_for(tmp_path: Path) -> None:
    with running_system(tmp_path) as system:
        settings = settings_of(system)
        with terminal(TOP, tmp_path, environment(settings), rows=30, columns=120) as screen:
            until(lambda: rate_of(screen, "crud") >= 0)
            system.stop()
            until(lambda: screen.line("gateway at").startswith(f"gateway at {system.gateway_url} is away since "))
            until(lambda: screen.line("crud at").startswith(f"crud at {system.crud_url} is away since "))
            assert screen.line("store").startswith("store – · revision –")  # noqa: RUF001 (the dash that is printed)
            time.sleep(1)
            assert screen.process.poll() is None
            system.start(f"{system.gateway_url}/ready")
            until(lambda: screen.line("store").startswith("store available"))
            until(lambda: rate_of(screen, "gateway") >= 0 and rate_of(screen, "crud") >= 0)
            assert screen.line("gateway at") == ""


@pytest.mark.parametrize("terminal_of", [None, "dumb"])
def test_without_a_terminal_one_snapshot_is_printed(watched: RunningProcess, terminal_of: str | None) -> None:
    ran = run(["top", "--interval", "0.5"], watched.data_dir, settings_of(watched, **_term(terminal_of)))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\x1b" not in ran.stdout
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert lines[0].startswith("SarvanOM ")
    assert any(re.match(r"gateway [\d.]+ 0 0.0 % ", line) for line in lines)
    assert any(line.startswith("store available · revision ") for line in lines)
    assert sum(line.startswith("gateway ") for line in lines) == 1


def _term(name: str | None) -> dict[str, str]:
    return {} if name is None else {"TERM": name}


def test_a_snapshot_in_a_terminal_is_left_there(watched: RunningProcess) -> None:
    with terminal([*TOP, "--once"], watched.data_dir, environment(settings_of(watched))) as screen:
        assert screen.process.wait(20) == 0
        screen.close_reading()
        assert b"\x1b[?1049h" not in screen.written
        assert re.search(r"gateway +[\d.]+ ", screen.text())


def test_it_looks_where_the_settings_have_the_services_listen(watched: RunningProcess) -> None:
    ports = {"SARVANOM_GATEWAY_PORT": str(watched.gateway_port), "SARVANOM_CRUD_PORT": str(watched.crud_port)}
    settings = {"SARVANOM_DATA_DIR": str(watched.data_dir), **ports}
    ran = run(["top", "--once", "--interval", "0.5"], watched.data_dir, settings)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "workers   gateway 2 · crud 2" in ran.stdout


def test_what_is_away_is_in_a_snapshot_and_its_status(watched: RunningProcess) -> None:
    settings = settings_of(watched, SARVANOM_CRUD_URLS="http://127.0.0.1:9")
    ran = run(["top", "--once", "--interval", "0.5"], watched.data_dir, settings)
    assert ran.returncode == 1
    assert "crud at http://127.0.0.1:9 is away since " in ran.stdout
    assert re.search(r"^gateway +[\d.]+ ", ran.stdout, re.MULTILINE)


def test_who_may_not_read_is_told_why(watched: RunningProcess) -> None:
    wrong = "wrong-Q7wT3nB9vK5xR1mZ8cF4hJ6pL2dS0gYa"
    ran = run(["top"], watched.data_dir, settings_of(watched, SARVANOM_METRICS_TOKEN=wrong))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert ran.stderr.startswith(f"Error: Metrics of {watched.gateway_url} may not be read: ")
    assert "(the token was that of SARVANOM_METRICS_TOKEN)" in ran.stderr
    assert wrong not in ran.stderr
