"""What commands share that talk to a gateway: its address, a progress bar, and how they say what went wrong."""

import ipaddress
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn

from sarvanom.backends.identity.secret_files import ADMIN_KEY, read_secret
from sarvanom.cli.options import load_settings
from sarvanom.settings import ClientSettings
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable, Unauthorized

if TYPE_CHECKING:
    from sarvanom.shared.clients.crud_client import CRUDServiceClient

type Connect = Callable[[str, str | None], CRUDServiceContract]

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C: 128 and the number of SIGINT."""


def connect_over_http(url: str, api_key: str | None) -> CRUDServiceContract:
    """Return the client of the gateway at `url`."""
    from sarvanom.shared.clients.service_client import ServiceClientFactory  # help and bad files need no HTTP client

    return ServiceClientFactory().crud(url=url, api_key=api_key or administrator_key(url))


@asynccontextmanager
async def connect_client(url: str, api_key: str | None) -> AsyncIterator["CRUDServiceClient"]:
    """Hand over what the gateway at `url` has, keys and accounts included."""
    from sarvanom.shared.clients.service_client import ServiceClientFactory

    async with ServiceClientFactory().crud(url=url, api_key=api_key or administrator_key(url)) as client:
        yield client


def administrator_key(url: str) -> str | None:
    """Return the first key, as it was set or stands in the data folder, for a gateway on this machine alone."""
    if not is_loopback(url):
        return None
    settings = load_settings(ClientSettings, {})
    try:
        return settings.admin_key or read_secret(settings.data_dir / ADMIN_KEY)
    except OSError as error:
        raise click.ClickException(str(error)) from None


def used_key(url: str, api_key: str | None) -> str:
    """Return where the key was from by which a gateway was asked, or where one could be from."""
    if api_key:
        return "the key was that of SARVANOM_API_KEY or --api-key"
    if not is_loopback(url):
        return "there was no key: set SARVANOM_API_KEY"
    settings = load_settings(ClientSettings, {})
    if settings.admin_key:
        return "the key was that of SARVANOM_ADMIN_KEY"
    file = settings.data_dir / ADMIN_KEY
    if file.exists():
        return f"the key was that in {file}"
    return (
        f"there was no key, for {settings.data_dir} has no `{ADMIN_KEY}`: run it in the folder of `sarvanom up`, "
        "or set SARVANOM_DATA_DIR or SARVANOM_API_KEY"
    )


def url_option(default: Callable[[], str] = lambda: load_settings(ClientSettings, {}).url) -> click.Option:
    """Return the option `--url`."""
    return click.Option(
        ["--url"],
        envvar="SARVANOM_URL",
        show_envvar=True,
        default=default,
        callback=_check_url,
        help="The gateway, http://127.0.0.1:8000 if nothing else is set.",
    )


def gateway_options(
    default_url: Callable[[], str] = lambda: load_settings(ClientSettings, {}).url,
) -> list[click.Option]:
    """Return the options `--url` and `--api-key`."""
    return [
        url_option(default_url),
        click.Option(
            ["--api-key"],
            show_envvar=True,
            envvar="SARVANOM_API_KEY",
            default=lambda: load_settings(ClientSettings, {}).api_key,
            callback=_check_api_key,
            help="What the gateway knows you by; left out, its first administrator key if it is on this machine.",
        ),
    ]


def make_progress(counter: ProgressColumn | None = None, *, hidden: bool = False) -> Progress:
    """Return progress that is shown on a terminal's standard error alone."""
    return Progress(
        "{task.description}",
        BarColumn(),
        counter or MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden or not sys.stderr.isatty(),
    )


def explain(url: str, error: SarvanOMError, at: str = "", *, api_key: str | None) -> str:
    """Return on one line why a gateway did not do what it was asked for by this key."""
    if isinstance(error, ServiceUnavailable) and not accepts_connections(url):
        return f"Nothing answers at {url}; start it with `sarvanom up`"
    causes = "; ".join(f"{name}: {message}" if name else message for name, message in error.errors)
    where = f" at {at}" if at else ""
    if isinstance(error, Unauthorized):
        causes = used_key(url, api_key)
    did = "gave up" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"
    return one_line(f"{url} {did}{where}: {error.detail}" + (f" ({causes})" if causes else ""))


def name_of(file: str) -> str:
    """Return what to call a file, which may be standard input."""
    return "standard input" if file == "-" else click.format_filename(file)


def one_line(text: str) -> str:
    """Return the text without what could move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def is_loopback(url: str) -> bool:
    """Tell whether a gateway is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def accepts_connections(url: str) -> bool:
    """Tell a service that is not there from one that cannot be talked to, or says that it is not ready."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=2).close()
    except OSError:
        return False
    return True


def _check_url(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise click.BadParameter("must look like http://127.0.0.1:8000")
    return url.rstrip("/")


def _check_api_key(_context: click.Context, _parameter: click.Parameter, api_key: str | None) -> str | None:
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise click.BadParameter("must be printable ASCII, as it travels in a header")
    return api_key
