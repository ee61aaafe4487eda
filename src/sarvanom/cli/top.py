"""`sarvanom top`: what a running system does, as it does it."""

import asyncio
import io
import logging
import math
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live

from sarvanom.cli.clients import INTERRUPTED, one_line, url_option
from sarvanom.cli.monitoring.monitor import Monitor, ServiceWatch, Snapshot
from sarvanom.cli.monitoring.screen import Screen
from sarvanom.cli.monitoring.tokens import MetricsTokens
from sarvanom.cli.options import load_settings, settings_options
from sarvanom.cli.places import crud_urls, gateway_url
from sarvanom.settings import UpSettings

_OF_ADDRESSES: Final = ("data_dir", "crud_urls", "crud_ca", "hop_certificate", "hop_key")
_LOOK_SECONDS: Final = 3.0
"""How long a service may take to tell of itself."""
_LONGEST_ANSWER: Final = 16 * 2**20
_PRINTED_WIDTH: Final = 160


def _check_interval(_context: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    if math.isnan(seconds):
        raise click.BadParameter("is no number")
    return seconds


@click.command("top", params=[url_option(gateway_url)])
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 60),
    default=2.0,
    show_default=True,
    callback=_check_interval,
    help="Seconds between two looks, over which rates are.",
)
@click.option("--once", is_flag=True, help="Look twice, print one snapshot and end; so it is without a terminal, too.")
@settings_options(UpSettings, only=_OF_ADDRESSES)
def top_command(url: str, interval: float, *, once: bool, **flags: Any) -> None:
    """Show requests, latency, errors, the store and watchers of a running system, live.

    It reads /metrics of gateway and crud, which counts among their requests, by SARVANOM_METRICS_TOKEN or the file
    metrics-token in the data folder. Latencies are estimates from the buckets of histograms. Ctrl-C ends it. A snapshot
    ends with status 1 if something could not be read.
    """
    settings = load_settings(UpSettings, flags)
    console = _console()
    is_live = not once and sys.stdout.isatty() and not console.is_dumb_terminal
    try:
        if is_live:
            asyncio.run(_show(url, settings, interval, console))
        else:
            _print(console, asyncio.run(_look_twice(url, settings, interval)))
    except (OSError, ValueError) as error:
        raise click.ClickException(one_line(str(error))) from None
    except asyncio.CancelledError:
        click.get_current_context().exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        click.get_current_context().exit(0 if is_live else INTERRUPTED)


async def _show(url: str, settings: UpSettings, interval: float, console: Console) -> None:
    """Draw until cancelled; the screen of before comes back however it ends."""
    loop = asyncio.get_running_loop()
    if (task := asyncio.current_task()) is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    logging.getLogger("sarvanom").addHandler(logging.NullHandler())  # what it would say is on the screen
    async with _monitor(url, settings) as monitor:
        snapshot = await _first_look(monitor)
        with Live(Screen(snapshot, is_live=True), console=console, screen=True, auto_refresh=False) as live:
            loop.add_signal_handler(signal.SIGWINCH, live.refresh)
            loop.add_signal_handler(signal.SIGTSTP, _suspend, live)
            due = loop.time()
            while True:
                due = max(due + interval, loop.time())
                await asyncio.sleep(due - loop.time())
                live.update(Screen(await monitor.look(), is_live=True), refresh=True)


def _suspend(live: Live) -> None:
    """Stop as Ctrl-Z asks for, with the screen of before; go on when a shell says so."""
    live.stop()
    signal.raise_signal(signal.SIGSTOP)
    live.start(refresh=True)


async def _look_twice(url: str, settings: UpSettings, interval: float) -> Snapshot:
    async with _monitor(url, settings) as monitor:
        await _first_look(monitor)
        await asyncio.sleep(interval)
        return await monitor.look()


async def _first_look(monitor: Monitor) -> Snapshot:
    """Look; if nothing may be read at all, end the command with why."""
    snapshot = await monitor.look()
    problems = [*snapshot.gateway.problems, *snapshot.crud.problems]
    refused = [problem for problem in problems if problem.is_refusal]
    if refused and not (snapshot.gateway.readings or snapshot.crud.readings):
        raise click.ClickException(one_line(f"Metrics of {refused[0].url} may not be read: {refused[0].text}"))
    return snapshot


def _print(console: Console, snapshot: Snapshot) -> None:
    console.print(Screen(snapshot, is_live=False))
    if snapshot.gateway.problems or snapshot.crud.problems:
        click.get_current_context().exit(1)


def _console() -> Console:
    """Return a console that has room for all columns where nobody knows how wide it is, and prints what it can."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(width=None if sys.stdout.isatty() else _PRINTED_WIDTH)


@asynccontextmanager
async def _monitor(url: str, settings: UpSettings) -> AsyncIterator[Monitor]:
    """Hand over what looks at the gateway as callers reach it, and at crud as the gateway does.

    Raises:
        OSError, ValueError: a setting or a file that it names cannot be used.
    """
    from sarvanom.shared.clients.discovery import ServiceDiscoveryClient  # help needs no HTTP client
    from sarvanom.shared.clients.endpoint_sources import StaticSource
    from sarvanom.shared.clients.httpx_transport import HTTPXTransport
    from sarvanom.shared.clients.keepalive import KeepAliveTransport
    from sarvanom.shared.clients.service_client import ServiceClientFactory
    from sarvanom.shared.clients.source_urls import hop_context, proven_name
    from sarvanom.shared.clients.transport import Transport

    tokens = MetricsTokens(settings.metrics_token, settings.data_dir)
    urls = crud_urls(settings)
    tls = hop_context(urls, settings.crud_ca, settings.hop_certificate, settings.hop_key)

    def reach_gateway(url: str) -> Transport:
        return HTTPXTransport(url, timeout=_LOOK_SECONDS, max_response_bytes=_LONGEST_ANSWER)

    def reach_crud(url: str) -> Transport:
        return KeepAliveTransport(
            url, timeout=_LOOK_SECONDS, max_response_bytes=_LONGEST_ANSWER, tls=tls, server_name=proven_name(urls)
        )

    crud = ServiceClientFactory().discovery(urls, tls=tls)
    gateway = ServiceDiscoveryClient(StaticSource([url]))
    monitor = Monitor(
        ServiceWatch("gateway", gateway, reach_gateway, tokens), ServiceWatch("crud", crud, reach_crud, tokens)
    )
    try:
        yield monitor
    finally:
        await monitor.aclose()
