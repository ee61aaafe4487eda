"""`sarvanom import`: one subcommand for every importer and every collection, and one for an export of everything."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, Final

import click
from pydantic import TypeAdapter, ValidationError

from sarvanom.cli.clients import (
    INTERRUPTED,
    Connect,
    connect_over_http,
    explain,
    gateway_options,
    make_progress,
    name_of,
    one_line,
)
from sarvanom.cli.importers.document import ImportRefused
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.registry import IMPORTERS
from sarvanom.cli.importers.upload import Tally, note_results
from sarvanom.cli.restoring import make_restore_command
from sarvanom.shared.contracts.service_contracts import CollectionContract
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict, Outcome
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import Name
from sarvanom.shared.resources import RESOURCES, Resource

type _Send = Callable[[CollectionContract[Any]], AsyncGenerator[ImportResult]]

_COUNTED_BYTES: Final = 2**20
_service_names: Final = TypeAdapter[str](Name)


def make_import_command(connect: Connect = connect_over_http) -> click.Group:
    """Return the command group; its subcommands write to what `connect(url, api_key)` returns."""
    commands = [
        *(_make_importer_command(importer, connect) for importer in IMPORTERS),
        *(_make_lines_command(resource, connect) for resource in RESOURCES if not resource.grants),
        make_restore_command(connect),
    ]
    help = "Fill a collection from a file, or an empty store from an export of everything."
    return click.Group("import", commands=commands, help=help)


def _make_importer_command(importer: Importer[Any], connect: Connect) -> click.Command:
    service = click.Option(
        ["--service"],
        default="default",
        show_default=True,
        callback=_check_service,
        help="The service that is to own the items.",
    )
    return click.Command(
        importer.name,
        params=[_file_argument(), *gateway_options(), service, _conflict_option()],
        callback=partial(_import_document, importer, connect),
        help=f"Import {importer.reads} into /{importer.resource.collection}. FILE may be - for standard input.",
        short_help=f"Import {importer.reads}.",
    )


def _make_lines_command(resource: Resource[Any], connect: Connect) -> click.Command:
    return click.Command(
        resource.collection,
        params=[_file_argument(), *gateway_options(), _conflict_option()],
        callback=partial(_import_lines, resource, connect),
        help=f"Import a file with the JSON of {resource.one} on each line into /{resource.collection}. "
        "FILE may be - for standard input.",
        short_help=f"Import lines of JSON, each {resource.one}.",
    )


def _file_argument() -> click.Argument:
    return click.Argument(["file"], type=click.Path(allow_dash=True))


def _conflict_option() -> click.Option:
    return click.Option(
        ["--on-conflict"],
        type=click.Choice(OnConflict, case_sensitive=False),
        default="error",
        show_default=True,
        help="What to do with an item whose id is taken.",
    )


def _import_document(
    importer: Importer[Any],
    connect: Connect,
    *,
    file: str,
    url: str,
    api_key: str | None,
    service: str,
    on_conflict: OnConflict,
) -> None:
    items = _read_items(importer, file, service)
    tally = Tally(len(items))

    def send(collection: CollectionContract[Any]) -> AsyncGenerator[ImportResult]:
        return collection.import_items(items, on_conflict=on_conflict)

    def label_of(line: int) -> str:
        return importer.resource.id_of(items[min(line, len(items)) - 1])

    _run(importer.resource, connect, url, api_key, tally, send, label_of, len(items))


def _import_lines(
    resource: Resource[Any], connect: Connect, *, file: str, url: str, api_key: str | None, on_conflict: OnConflict
) -> None:
    tally = Tally()
    with _opened(file) as stream:

        def send(collection: CollectionContract[Any]) -> AsyncGenerator[ImportResult]:
            return collection.import_lines(_counted(stream, tally), on_conflict=on_conflict)

        _run(resource, connect, url, api_key, tally, send, "line {}".format, _count_lines(stream))


def _run(
    resource: Resource[Any],
    connect: Connect,
    url: str,
    api_key: str | None,
    tally: Tally,
    send: _Send,
    label_of: Callable[[int], str],
    lines: int | None,
) -> None:
    """Send, show how far it is, and say what came of it; the exit status tells whether it was all done."""
    started, interrupted = time.perf_counter(), False

    async def run(on_done: Callable[[int], None]) -> None:
        async with connect(url, api_key) as client:
            await note_results(send(getattr(client, resource.collection)), tally, label_of, on_done)

    try:
        with make_progress() as progress:
            task = progress.add_task(resource.collection, total=lines)
            asyncio.run(run(lambda line: progress.update(task, completed=line)))
    except KeyboardInterrupt:
        interrupted = True
    if tally.done or not tally.halted_by:
        click.echo(_summarize(resource.collection, tally, time.perf_counter() - started))
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)
    if tally.halted_by:
        raise click.ClickException(explain(url, tally.halted_by, tally.halted_at, api_key=api_key))
    if tally.outcomes[Outcome.REFUSED]:
        click.get_current_context().exit(1)


def _read_items[M: ResourceModel](importer: Importer[M], file: str, service: str) -> list[M]:
    """Return everything that the file holds, before anything is sent: a bad file changes nothing."""
    with _opened(file) as stream:
        text = stream.read()
    try:
        return [item.model_copy(update={"service": service}) for item in importer.parse(text)]
    except ImportRefused as refusal:
        raise click.ClickException(one_line(f"{name_of(file)}: {refusal}")) from None


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """Open a file to read; what cannot be read ends the command with a line."""
    try:
        with click.open_file(file, "rb") as stream:
            yield stream
    except OSError as error:
        raise click.ClickException(f"{name_of(file)}: {error.strerror or error}") from None


def _count_lines(stream: IO[bytes]) -> int | None:
    """Return how many lines there are, None for what can be read only once."""
    if not stream.seekable():
        return None
    count, last = 0, b""
    while chunk := stream.read(_COUNTED_BYTES):
        count, last = count + chunk.count(b"\n"), chunk
    stream.seek(0)
    return count + (not last.endswith(b"\n") and last != b"")


def _counted(lines: IO[bytes], tally: Tally) -> Iterator[bytes]:
    """Yield lines, those that are not blank counted as they are taken."""
    for line in lines:
        tally.total += not line.isspace()
        yield line


def _summarize(collection: str, tally: Tally, seconds: float) -> str:
    counts = ", ".join(f"{tally.outcomes[outcome]:,} {outcome}" for outcome in Outcome)
    left = tally.total - tally.done
    lines = [
        f"{collection}: {counts}"
        + (f", {left:,} unconfirmed" if left else "")
        + f" in {seconds:.1f} s ({tally.done / seconds:,.0f}/s)",
        *(f"  refused {one_line(reason)}" for reason in tally.reasons),
    ]
    if unlisted := tally.outcomes[Outcome.REFUSED] - len(tally.reasons):
        lines.append(f"  and {unlisted:,} more")
    return "\n".join(lines)


def _check_service(_context: click.Context, _parameter: click.Parameter, service: str) -> str:
    try:
        return _service_names.validate_python(service)
    except ValidationError:
        raise click.BadParameter("must be 1 to 255 printable characters") from None


import_command: Final = make_import_command()
