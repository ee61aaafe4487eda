"""Serving an application on a socket that is open already."""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from sarvanom.shared.tls import FollowedContext, entrance
from sarvanom.web.certificates import CertificateWatch
from sarvanom.web.connections import ConnectionGuard, ConnectionLimits
from sarvanom.web.protocol import ProblemProtocol
from sarvanom.web.service import Service

_COLLECT_AFTER: Final = 100_000
_GOODBYE_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.001
"""How long a thread keeps the interpreter from another: the store's asks for it after every statement."""


class _Server(uvicorn.Server):
    """A server for which a signal is the order to stop, not the way to end, and that guards its connections."""

    def __init__(
        self, config: uvicorn.Config, limits: ConnectionLimits, tls: FollowedContext | None, *, is_child: bool
    ) -> None:
        super().__init__(config)
        self._guard = ConnectionGuard(limits)
        self._tls = tls
        followed = [tls] if tls else []
        if isinstance(config.app, Service):
            followed += config.app.certificates
        self._certificates = CertificateWatch(followed)
        self._takes_hangup = is_child or bool(followed)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn would raise them again afterwards, and the exit status not be 0."""
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; SIGHUP then reloads certificates, or ends a process that has none and was started by hand."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop = asyncio.get_running_loop()
        self.servers = []
        tls = entrance(self._tls) if self._tls else None
        for listener in sockets or ():
            server = await loop.create_server(
                self._connect,
                sock=listener,
                backlog=self.config.backlog,
                ssl=tls,
                ssl_handshake_timeout=self._guard.limits.head_seconds if tls else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if tls else None,
            )
            self.servers.append(server)
        self._guard.start()
        self._certificates.start()
        if self._takes_hangup:
            loop.add_signal_handler(signal.SIGHUP, lambda: self._certificates.refresh(always=True))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams that would go on for ever, then wait for the requests under way."""
        self._certificates.stop()
        if isinstance(self.config.app, Service):
            self.config.app.streams.stop()
        await super().shutdown(sockets)
        self._guard.stop()

    def _connect(self) -> ProblemProtocol:
        return ProblemProtocol(self.config, self.server_state, self.lifespan.state, guard=self._guard)


def serve(
    create_app: Callable[[], ASGIApp],
    listener: socket.socket,
    *,
    stop_seconds: float,
    limits: ConnectionLimits,
    tls: FollowedContext | None = None,
    trusted_proxies: str | None = None,
    follow_stdin: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; with `follow_stdin` also until standard input ends, as it does with the parent."""
    config = uvicorn.Config(
        create_app(),
        loop="uvloop",
        http=ProblemProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=max(1, round(stop_seconds)),
    )
    server = _Server(config, limits, tls, is_child=follow_stdin)

    async def run() -> None:
        if follow_stdin:
            _stop_at_end_of_stdin(server)
        await server.serve(sockets=[listener])

    _allow_many_connections()
    settle_garbage()
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    if not server.started:
        sys.exit(1)


def _allow_many_connections() -> None:
    """Take as many file descriptors as the system allows; by default it hands out few, for programs that use select."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def settle_garbage() -> None:
    """Leave what was made up to now out of later collections, and collect less often: requests make few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            server.should_exit = True

    loop.add_reader(descriptor, read)
