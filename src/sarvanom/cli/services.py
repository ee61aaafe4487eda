"""`sarvanom gateway` and `sarvanom crud`: one service alone."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from starlette.types import ASGIApp

from sarvanom.cli.exits import CannotStart
from sarvanom.cli.options import load_settings, settings_options
from sarvanom.cli.sockets import PortUnavailable, listen
from sarvanom.cli.supervisor import ServiceSpec, supervise
from sarvanom.setting_checks import split_list
from sarvanom.settings import CrudSettings, GatewaySettings, ProcessSettings, TLSFiles

if TYPE_CHECKING:
    from sarvanom.observability.siblings import Place

_listener_option = click.option(
    "--listener", type=int, hidden=True, help="Descriptor of a socket that listens already."
)


_worker_option = click.option("--worker", type=int, default=0, hidden=True, help="Which of the workers this one is.")
_folder_option = click.option(
    "--workers-folder", type=click.Path(path_type=Path), hidden=True, help="Where the workers find each other."
)


@click.command("gateway")
@_listener_option
@_worker_option
@_folder_option
@settings_options(GatewaySettings)
def gateway_command(listener: int | None, worker: int, workers_folder: Path | None, **flags: Any) -> None:
    """Start the API gateway alone."""
    settings = load_settings(GatewaySettings, flags)

    def create_app() -> ASGIApp:
        from sarvanom.services.gateway.main import create_app as create

        return create(settings, _place(settings, worker, workers_folder))

    spec = ServiceSpec("gateway", settings.gateway_host, settings.gateway_port, is_secure=settings.tls is not None)
    _start(
        spec,
        settings,
        create_app,
        listener,
        tls=settings.tls,
        trusted_proxies=settings.trusted_proxies,
        connections_per_address=settings.max_connections_per_address,
    )


@click.command("crud")
@_listener_option
@_worker_option
@_folder_option
@settings_options(CrudSettings, without=["master_keys"])
def crud_command(listener: int | None, worker: int, workers_folder: Path | None, **flags: Any) -> None:
    """Start the CRUD service alone."""
    settings = load_settings(CrudSettings, flags)
    os.umask(0o077)

    def create_app() -> ASGIApp:
        from sarvanom.services.crud.main import create_app as create

        return create(settings, _place(settings, worker, workers_folder))

    spec = ServiceSpec("crud", settings.crud_host, settings.crud_port, is_secure=settings.crud_tls is not None)
    _start(spec, settings, create_app, listener, tls=settings.crud_tls, patience=2)


def _place(settings: ProcessSettings, worker: int, folder: Path | None) -> "Place":
    from sarvanom.observability.siblings import Place

    return Place(worker, settings.workers, folder)


def _start(
    spec: ServiceSpec,
    settings: ProcessSettings,
    create_app: Callable[[], ASGIApp],
    descriptor: int | None,
    *,
    tls: TLSFiles | None,
    trusted_proxies: str | None = None,
    connections_per_address: int | None = None,
    patience: int = 1,
) -> None:
    """Serve in this process, or as many processes as there are to be workers.

    The more `patience`, the longer a body may take: crud leaves it to the gateway to judge who is slow.
    """
    if descriptor is None and settings.workers > 1:
        sys.exit(supervise([spec], settings, announce=lambda _: None))
    from sarvanom.backends.storage.schema import IncompatibleDatabase
    from sarvanom.observability.access_lines import write_access_lines
    from sarvanom.observability.logs import configure_logs
    from sarvanom.shared.errors import SarvanOMError
    from sarvanom.shared.tls import follow_server
    from sarvanom.web.connections import ConnectionLimits
    from sarvanom.web.server import serve

    log_format = settings.log_format or ("console" if sys.stdout.isatty() else "json")
    write = configure_logs(settings.log_level, log_format, sys.stdout.buffer, service=spec.name)
    write_access_lines(write, service=spec.name, share=settings.log_sample)
    limits = ConnectionLimits(
        head_seconds=settings.header_timeout,
        body_seconds=settings.body_timeout * patience,
        connections=settings.max_connections,
        connections_per_address=connections_per_address,
        trusted_proxies=split_list(trusted_proxies),
    )
    try:
        listener = listen(spec.host, spec.port) if descriptor is None else socket.socket(fileno=descriptor)
        serve(
            create_app,
            listener,
            stop_seconds=settings.stop_seconds,
            limits=limits,
            tls=follow_server(*tls) if tls else None,
            trusted_proxies=trusted_proxies,
            follow_stdin=descriptor is not None,
        )
    except (PortUnavailable, IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        raise CannotStart(f"{spec.name} cannot start: {_words(error)}") from None


def _words(error: Exception) -> str:
    """Return what went wrong, of files in words and without a number."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename} cannot be used: {error.strerror}"
    return str(error)
