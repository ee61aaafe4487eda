"""Child processes: started on sockets that the parent holds, started again if they crash, stopped in order.

The parent binds the sockets, so that workers share them and a taken port is found before anything starts. A child
whose standard input ends has lost its parent and stops.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import click

from sarvanom.cli.exits import CANNOT_START
from sarvanom.cli.probe import wait_until_ready
from sarvanom.cli.sockets import PortUnavailable, listen
from sarvanom.settings import PREFIX, CrudSettings, GatewaySettings, ProcessSettings

_QUICK_FAILURE: Final = 2.0
_MAX_QUICK_FAILURES: Final = 3
_LONGEST_FOLDER: Final = 92
"""In bytes: the path of a Unix socket may have 103 of them (on some systems), and the name of one has up to 11."""


class ServiceSpec(NamedTuple):
    """A service, and where it is to listen."""

    name: str
    host: str
    port: int
    is_secure: bool = False


type Announce = Callable[[Sequence[str]], None]
"""Told the URLs of the services, in their order, when all of them are ready."""


def supervise(specs: Sequence[ServiceSpec], settings: ProcessSettings, announce: Announce) -> int:
    """Run the services until SIGINT or SIGTERM; return the exit status.

    They are started in their order and stopped in the reverse, so the last one is the one that callers face.
    """
    try:
        listeners = [(spec, listen(spec.host, spec.port)) for spec in specs]
    except PortUnavailable as error:
        raise click.ClickException(str(error)) from None
    urls = [url_of(spec.host, listener.getsockname()[1], is_secure=spec.is_secure) for spec, listener in listeners]
    environment = {**os.environ, **settings.environment()}
    if len(specs) > 1:
        environment["SARVANOM_CRUD_URLS"] = urls[0]
    sockets = {spec.name: listener for spec, listener in listeners}
    with _workers_folder() if settings.workers > 1 else contextlib.nullcontext() as folder:
        workers = [
            Worker(
                spec.name,
                listener.fileno(),
                _own(spec.name, environment),
                ("--worker", str(number), "--workers-folder", folder) if folder is not None else (),
            )
            for spec, listener in listeners
            for number in range(settings.workers)
        ]
        return asyncio.run(Supervisor(workers, urls, settings.stop_seconds, sockets).run(announce))


@contextlib.contextmanager
def _workers_folder() -> Iterator[str]:
    """Make a folder for the sockets of workers: not in the data folder, since the path of one may not be long."""
    try:
        made = tempfile.TemporaryDirectory(prefix="sarvanom-")
    except OSError as error:
        reason = f"the workers have nowhere to meet: {error.strerror}; set TMPDIR to a folder that can be written"
        raise click.ClickException(reason) from None
    with made as folder:
        if len(os.fsencode(folder)) > _LONGEST_FOLDER:
            raise click.ClickException(
                f"{folder} is too long a path for sockets of workers; set TMPDIR to another folder"
            )
        yield folder


def url_of(host: str, port: int, *, is_secure: bool = False) -> str:
    """Return where a service can be reached from this machine that listens on a host and port."""
    protocol = "https" if is_secure else "http"
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (nothing is bound)
    return f"{protocol}://[{reachable}]:{port}" if ":" in reachable else f"{protocol}://{reachable}:{port}"


_SETTINGS: Final[Mapping[str, type[ProcessSettings]]] = {"crud": CrudSettings, "gateway": GatewaySettings}


def _own(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: of all settings its own alone, so that it learns no secret of another's."""
    own = {f"{PREFIX}{name.upper()}" for name in _SETTINGS[service].model_fields}
    return {
        name: value for name, value in environment.items() if not name.upper().startswith(PREFIX) or name.upper() in own
    }


class GaveUp(Exception):
    """A service does not start; it has said why."""


class Worker:
    """One child process, started again when it ends unbidden."""

    def __init__(
        self, service: str, descriptor: int, environment: dict[str, str], arguments: Sequence[str] = ()
    ) -> None:
        self.service = service
        self._arguments = tuple(arguments)
        self._descriptor = descriptor
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep the process running until `stop`.

        Raises:
            GaveUp: it refused its first start, or failed again and again.
        """
        failures, is_first = 0, True
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            failures = failures + 1 if time.monotonic() - began < _QUICK_FAILURE else 1
            if (status == CANNOT_START and is_first) or failures >= _MAX_QUICK_FAILURES:
                raise GaveUp
            is_first = False
            pause = 0.25 * 2**failures
            click.echo(f"{self.service} ended with status {status}; starting it again in {pause:g} s", err=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def reload(self) -> None:
        """Pass SIGHUP on, by which a service with certificates reads them again."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self, seconds: float) -> None:
        """Ask the process to stop, and end it if it does not within the time."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _run_once(self) -> int:
        # Of a session of its own: Ctrl-C reaches the parent alone, which stops the services in order.
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "sarvanom", self.service, "--listener", str(self._descriptor)),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[self._descriptor],
            env=self._environment,
            start_new_session=True,
        )
        if self._stopping.is_set():
            process.terminate()
        return await process.wait()


class Supervisor:
    """Runs workers side by side."""

    def __init__(
        self,
        workers: Sequence[Worker],
        urls: Sequence[str],
        stop_seconds: float,
        listeners: Mapping[str, socket.socket] | None = None,
    ) -> None:
        self._workers = workers
        self._listeners = dict(listeners or {})
        self._urls = urls
        self._stop_seconds = stop_seconds

    async def run(self, announce: Announce) -> int:
        """Run until a signal or a worker that gives up; return the exit status."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        if any(url.startswith("https:") for url in self._urls):
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        running = [asyncio.create_task(worker.run()) for worker in self._workers]
        ready = asyncio.create_task(self._announce_when_ready(announce))
        ended = asyncio.create_task(stopped.wait())
        await asyncio.wait([*running, ended], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        ended.cancel()
        await self._stop()
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await ready
        return 0 if stopped.is_set() and not any(isinstance(outcome, GaveUp) for outcome in outcomes) else 1

    def _reload(self) -> None:
        """Have the services read their certificates again."""
        for worker in self._workers:
            worker.reload()

    async def _announce_when_ready(self, announce: Announce) -> None:
        for url in self._urls:
            await wait_until_ready(url)
        announce(self._urls)

    async def _stop(self) -> None:
        for service in reversed(dict.fromkeys(worker.service for worker in self._workers)):
            if service in self._listeners:
                # As long as one process holds the socket, the kernel takes connections that nobody will answer.
                self._listeners.pop(service).close()
            theirs = [worker for worker in self._workers if worker.service == service]
            await asyncio.gather(*(worker.stop(self._stop_seconds + 2) for worker in theirs))
