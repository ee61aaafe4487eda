"""`sarvanom gateway` and `sarvanom crud`: one service alone."""

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import click
from starlette.types import ASGIApp

from sarvanom.cli.exits import CannotStart
from sarvanom.cli.options import load_settings, settings_options
from sarvanom.cli.sockets import PortUnavailable, listen
from sarvanom.cli.supervisor import ServiceSpec, supervise
from sarvanom.settings import CrudSettings, GatewaySettings, ProcessSettings

_listener_option = click.option(
    "--listener", type=int, hidden=True, help="Descriptor of a socket that listens already."
)


@click.command("gateway")
@_listener_option
@settings_options(GatewaySettings)
def gateway_command(listener: int | None, **flags: Any) -> None:
    """Start the API gateway alone."""
    settings = load_settings(GatewaySettings, flags)

    def create_app() -> ASGIApp:
        from sarvanom.services.gateway.main import create_app as create

        return create(settings)

    spec = ServiceSpec("gateway", settings.gateway_host, settings.gateway_port)
    _start(spec, settings, create_app, listener, settings.trusted_proxies)


@click.command("crud")
@_listener_option
@settings_options(CrudSettings, without=["master_keys"])
def crud_command(listener: int | None, **flags: Any) -> None:
    """Start the CRUD service alone."""
    settings = load_settings(CrudSettings, flags)
    os.umask(0o077)

    def create_app() -> ASGIApp:
        from sarvanom.services.crud.main import create_app as create

        return create(settings)

    _start(ServiceSpec("crud", settings.crud_host, settings.crud_port), settings, create_app, listener, None)


def _start(
    spec: ServiceSpec,
    settings: ProcessSettings,
    create_app: Callable[[], ASGIApp],
    descriptor: int | None,
    trusted_proxies: str | None,
) -> None:
    """Serve in this process, or as many processes as there are to be workers."""
    if descriptor is None and settings.workers > 1:
        sys.exit(supervise([spec], settings, announce=lambda _: None))
    from sarvanom.backends.storage.schema import IncompatibleDatabase
    from sarvanom.observability.logs import configure_logs
    from sarvanom.shared.errors import SarvanOMError
    from sarvanom.web.server import serve

    log_format = settings.log_format or ("console" if sys.stdout.isatty() else "json")
    configure_logs(settings.log_level, log_format, sys.stdout.buffer, service=spec.name)
    try:
        listener = listen(spec.host, spec.port) if descriptor is None else socket.socket(fileno=descriptor)
        serve(
            create_app,
            listener,
            stop_seconds=settings.stop_seconds,
            trusted_proxies=trusted_proxies,
            follow_stdin=descriptor is not None,
        )
    except (PortUnavailable, IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        raise CannotStart(f"{spec.name} cannot start: {error}") from None
