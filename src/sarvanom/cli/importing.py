"""`sarvanom import`: one subcommand for every importer, which sends what a file holds to a gateway."""

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from sarvanom.cli.importers.document import ImportRefused
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.registry import IMPORTERS
from sarvanom.cli.importers.upload import OnConflict, Outcome, Tally, Upload
from sarvanom.cli.options import load_settings
from sarvanom.settings import ClientSettings
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import Name

type Connect = Callable[[str, str | None], CRUDServiceContract]

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C: 128 and the number of SIGINT."""

_service_names: Final = TypeAdapter[str](Name)


def connect_over_http(url: str, api_key: str | None) -> CRUDServiceContract:
    """Return the client of the gateway at `url`."""
    from sarvanom.shared.clients.service_client import ServiceClientFactory  # help and bad files need no HTTP client

    return ServiceClientFactory().crud(url=url, api_key=api_key)


def make_import_command(connect: Connect = connect_over_http) -> click.Group:
    """Return the command group; its subcommands write to what `connect(url, api_key)` returns."""
    commands = [_make_subcommand(importer, connect) for importer in IMPORTERS]
    help = "Fill a collection from a file that other software wrote."
    return click.Group("import", commands=commands, help=help)


def _make_subcommand(importer: Importer[Any], connect: Connect) -> click.Command:
    return click.Command(
        importer.name,
        params=[
            click.Argument(["file"], type=click.Path(allow_dash=True)),
            *_make_options(),
        ],
        callback=partial(_import_file, importer, connect),
        help=f"Import {importer.reads} into /{importer.resource.collection}. FILE may be - for standard input.",
        short_help=f"Import {importer.reads}.",
    )


def _make_options() -> list[click.Option]:
    option = partial(click.Option, show_envvar=True)
    return [
        option(
            ["--url"],
            envvar="SARVANOM_URL",
            default=lambda: load_settings(ClientSettings, {}).url,
            callback=_check_url,
            help="The gateway, http://127.0.0.1:8000 if nothing else is set.",
        ),
        option(
            ["--api-key"],
            envvar="SARVANOM_API_KEY",
            default=lambda: load_settings(ClientSettings, {}).api_key,
            callback=_check_api_key,
            help="What the gateway knows you by.",
        ),
        option(
            ["--service"],
            default="default",
            show_default=True,
            callback=_check_service,
            help="The service that is to own the items.",
        ),
        option(
            ["--on-conflict"],
            type=click.Choice(OnConflict, case_sensitive=False),
            default="error",
            show_default=True,
            help="What to do with an item whose id is taken.",
        ),
        option(
            ["--concurrency"],
            type=click.IntRange(1, 256),
            default=16,
            show_default=True,
            help="How many items to send at once.",
        ),
    ]


def _import_file(
    importer: Importer[Any],
    connect: Connect,
    *,
    file: str,
    url: str,
    api_key: str | None,
    service: str,
    on_conflict: OnConflict,
    concurrency: int,
) -> None:
    tally, started, interrupted = Tally(), time.perf_counter(), False

    async def send(items: Sequence[ResourceModel], on_done: Callable[[], None]) -> None:
        async with connect(url, api_key) as client:
            collection = getattr(client, importer.resource.collection)
            await Upload(collection, tally, on_conflict, concurrency, on_done).run(items)

    try:
        items = _read_items(importer, file, service)
        tally.total = len(items)
        with _progress_bar(importer.resource.collection, len(items)) as on_done:
            asyncio.run(send(items, on_done))
    except KeyboardInterrupt:
        interrupted = True
    if tally.done or not tally.halted_by:
        seconds = time.perf_counter() - started
        click.echo(_summarize(importer.resource.collection, tally, seconds))
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)
    if tally.halted_by:
        raise click.ClickException(_explain(url, tally.halted_at, tally.halted_by))
    if tally.outcomes[Outcome.REFUSED]:
        click.get_current_context().exit(1)


def _read_items[M: ResourceModel](importer: Importer[M], file: str, service: str) -> list[M]:
    """Return everything that the file holds, before anything is sent: a bad file changes nothing."""
    name = "standard input" if file == "-" else click.format_filename(file)
    try:
        with click.open_file(file, "rb") as stream:
            text = stream.read()
        return [item.model_copy(update={"service": service}) for item in importer.parse(text)]
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror or error}") from None
    except ImportRefused as refusal:
        raise click.ClickException(_one_line(f"{name}: {refusal}")) from None


@contextmanager
def _progress_bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal's standard error, and yield what advances it."""
    progress = Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        yield partial(progress.advance, progress.add_task(title, total=total))


def _summarize(collection: str, tally: Tally, seconds: float) -> str:
    counts = ", ".join(f"{tally.outcomes[outcome]:,} {outcome}" for outcome in Outcome)
    left = tally.total - tally.done
    lines = [
        f"{collection}: {counts}"
        + (f", {left:,} unconfirmed" if left else "")
        + f" in {seconds:.1f} s ({tally.done / seconds:,.0f}/s)",
        *(f"  refused {_one_line(reason)}" for reason in tally.reasons),
    ]
    if unlisted := tally.outcomes[Outcome.REFUSED] - len(tally.reasons):
        lines.append(f"  and {unlisted:,} more")
    return "\n".join(lines)


def _explain(url: str, id: str, error: SarvanOMError) -> str:
    if isinstance(error, ServiceUnavailable) and not _accepts_connections(url):
        return f"Nothing answers at {url}; start it with `sarvanom up`"
    return _one_line(f"{url} gave up at {id}: {error.detail}")


def _accepts_connections(url: str) -> bool:
    """Tell a gateway that is not there from one that says that it is not ready."""
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


def _check_service(_context: click.Context, _parameter: click.Parameter, service: str) -> str:
    try:
        return _service_names.validate_python(service)
    except ValidationError:
        raise click.BadParameter("must be 1 to 255 printable characters") from None


def _one_line(text: str) -> str:
    """Return the text without what could move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


import_command: Final = make_import_command()
