"""Workers are started again and stopped in order; no process is started here."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sarvanom.cli import supervisor as supervisor_module
from sarvanom.cli.supervisor import GaveUp, Supervisor, Worker


class Process:
    """A child process that ends when it is told to."""

    def __init__(self, returncode: int | None = None, *, obeys: bool = True) -> None:
        self.returncode = returncode
        self.obeys = obeys
        self.signals: list[str] = []
        self._ended = asyncio.Event()

    def terminate(self) -> None:
        self.signals.append("TERM")
        if self.obeys:
            self.end(-15)

    def kill(self) -> None:
        self.signals.append("KILL")
        self.end(-9)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()

    async def wait(self) -> int:
        if self.returncode is None:
            await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class Machine:
    """Starts made-up processes, and has a clock that only pauses and processes move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *runs: tuple[int, float]) -> None:
        self.runs = list(runs)
        self.now = 0.0
        self.pauses: list[float] = []
        self.started: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self.start)
        monkeypatch.setattr(asyncio, "wait_for", self.wait_in_vain)
        monkeypatch.setattr(supervisor_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def start(self, *command: Any, **options: Any) -> Process:
        self.started.append((command, options))
        status, seconds = self.runs.pop(0)
        self.now += seconds
        return Process(status)

    async def wait_in_vain(self, awaited: Coroutine[Any, Any, Any], seconds: float) -> None:
        awaited.close()
        self.pauses.append(seconds)
        self.now += seconds
        raise TimeoutError


def worker() -> Worker:
    return Worker("crud", 7, {"A": "b"})


async def test_child_gets_its_socket_and_environment_and_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, (78, 0))
    with pytest.raises(GaveUp):
        await worker().run()
    ((command, options),) = machine.started
    assert command[1:] == ("-P", "-m", "sarvanom", "crud", "--listener", "7")
    assert (options["pass_fds"], options["env"], options["start_new_session"]) == ([7], {"A": "b"}, True)
    assert options["stdin"] == asyncio.subprocess.PIPE


@pytest.mark.parametrize(
    ("runs", "pauses"),
    [
        ([(78, 0)], []),
        ([(78, 99)], []),
        ([(2, 0), (2, 0), (2, 0)], [0.5, 1.0]),
        ([(-9, 1.9), (0, 1.9), (3, 1.9)], [0.5, 1.0]),
        ([(2, 0), (2, 0), (2, 2), (2, 0), (2, 0)], [0.5, 1.0, 0.5, 1.0]),
        ([(-9, 60)] * 4 + [(78, 0), (78, 0)], [0.5] * 4 + [1.0]),
    ],
)
async def test_child_is_started_again_unless_it_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: list[tuple[int, float]],
    pauses: list[float],
) -> None:
    machine = Machine(monkeypatch, *runs)
    with pytest.raises(GaveUp):
        await worker().run()
    assert (machine.runs, machine.pauses) == ([], pauses)
    assert capsys.readouterr().err.splitlines() == [
        f"crud ended with status {status}; starting it again in {pause:g} s"
        for (status, _), pause in zip(runs, pauses, strict=False)
    ]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def start(monkeypatch: pytest.MonkeyPatch, process: Process) -> tuple[Worker, asyncio.Task[None]]:
    async def exec_(*_: Any, **__: Any) -> Process:
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", exec_)
    started = worker()
    running = asyncio.create_task(started.run())
    await settle()
    return started, running


async def test_child_is_asked_to_stop_and_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process()
    stopping, running = await start(monkeypatch, process)
    await stopping.stop(60)
    await running
    assert process.signals == ["TERM"]


async def test_child_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(obeys=False)
    stopping, running = await start(monkeypatch, process)
    await stopping.stop(0)
    await running
    assert process.signals == ["TERM", "KILL"]


async def test_stop_before_start_and_after_the_end_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = worker()
    await idle.stop(60)
    await idle.run()
    process = Process()
    stopping, running = await start(monkeypatch, process)
    await stopping.stop(60)
    await running
    await stopping.stop(60)
    assert process.signals == ["TERM"]


async def test_child_that_was_just_being_started_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    process, may_start = Process(), asyncio.Event()

    async def exec_(*_: Any, **__: Any) -> Process:
        await may_start.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", exec_)
    stopping = worker()
    running = asyncio.create_task(stopping.run())
    await settle()
    stopped = asyncio.create_task(stopping.stop(60))
    await settle()
    may_start.set()
    await settle()
    signals = list(process.signals)
    process.end(0)
    await asyncio.gather(running, stopped)
    assert signals == ["TERM"]


class Acting(Worker):
    """A worker that notes when it is stopped, and ends as it is told to."""

    def __init__(self, service: str, log: list[str], outcome: Exception | None = None) -> None:
        super().__init__(service, 0, {})
        self.log, self.outcome, self.stopped = log, outcome, asyncio.Event()

    async def run(self) -> None:
        if self.outcome is not None:
            raise self.outcome
        await self.stopped.wait()

    async def stop(self, seconds: float) -> None:
        self.log.append(f"{self.service} {seconds:g}")
        self.stopped.set()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened; services are ready when they are asked."""
    happened: list[str] = []

    async def be_ready(url: str) -> None:
        happened.append(f"ready {url}")

    monkeypatch.setattr(supervisor_module, "wait_until_ready", be_ready)
    return happened


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_stops_the_services_in_reverse_order(log: list[str], number: signal.Signals) -> None:
    workers = [Acting("crud", log), Acting("crud", log), Acting("gateway", log)]

    def announce(urls: Sequence[str]) -> None:
        log.append(f"up {len(urls)}")
        signal.raise_signal(number)

    assert await Supervisor(workers, ["a", "b"], 3).run(announce) == 0
    assert log == ["ready a", "ready b", "up 2", "gateway 5", "crud 5", "crud 5"]


@pytest.mark.parametrize("outcome", [GaveUp(), OSError("no such file")])
async def test_service_that_gives_up_stops_the_others(
    log: list[str], monkeypatch: pytest.MonkeyPatch, outcome: Exception
) -> None:
    async def never_ready(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(supervisor_module, "wait_until_ready", never_ready)
    workers = [Acting("crud", log, outcome), Acting("gateway", log)]
    assert await Supervisor(workers, ["a"], 1).run(log.extend) == 1
    assert log == ["gateway 3", "crud 3"]
