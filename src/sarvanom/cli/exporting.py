"""`sarvanom export`: everything, or one collection, as lines of JSON."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

import click
from rich.progress import Progress

from sarvanom.cli.clients import INTERRUPTED, Connect, connect_over_http, explain, gateway_options, make_progress
from sarvanom.cli.restoring import TAIL_BYTES, is_ended
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import SarvanOMError, UpstreamFailed
from sarvanom.shared.models.crud_models import PaginationParams
from sarvanom.shared.resources import RESOURCES

_COLLECTIONS: Final = {resource.collection: resource for resource in RESOURCES if not resource.grants}


def make_export_command(connect: Connect = connect_over_http) -> click.Command:
    """Return the command, which reads from what `connect(url, api_key)` returns."""
    return click.Command(
        "export",
        params=[
            click.Argument(["collection"], required=False, type=click.Choice(list(_COLLECTIONS))),
            click.Option(
                ["--output", "-o"],
                type=click.Path(allow_dash=True, dir_okay=False),
                default="-",
                help="Where to write; - is standard output. A file appears when it is complete.",
            ),
            *gateway_options(),
        ],
        callback=partial(_export, connect),
        help="Write everything as it is at one revision, or one COLLECTION, as lines of JSON. `sarvanom import all` "
        "restores the former, `sarvanom import COLLECTION` reads the latter.",
        short_help="Write everything, or one collection, as lines of JSON.",
    )


def _export(connect: Connect, *, collection: str | None, output: str, url: str, api_key: str | None) -> None:
    try:
        with _written(output) as file:
            asyncio.run(_copy(connect, url, api_key, collection, file, to_terminal=file.isatty()))
    except SarvanOMError as error:
        raise click.ClickException(explain(url, error, api_key=api_key)) from None
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (nobody reads on: nor must the interpreter's flush)
        click.get_current_context().exit(1)
    except OSError as error:
        raise click.ClickException(f"{click.format_filename(output)}: {error.strerror or error}") from None
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)


async def _copy(
    connect: Connect, url: str, api_key: str | None, collection: str | None, file: IO[bytes], *, to_terminal: bool
) -> None:
    async with connect(url, api_key) as client:
        with make_progress(hidden=to_terminal) as progress:
            chunks = client.archive.export() if collection is None else _lines_of(client, collection)
            tail = await _write(chunks, file, progress, await _total(client, collection, progress))
    if collection is None and not is_ended(tail):
        raise UpstreamFailed("The export broke off before its end")


def _lines_of(client: CRUDServiceContract, collection: str) -> AsyncIterator[bytes]:
    return client.archive.export_collection(_COLLECTIONS[collection])


async def _write(chunks: AsyncIterator[bytes], file: IO[bytes], progress: Progress, total: int | None) -> bytes:
    """Write all chunks, and return the end of the last ones."""
    task = progress.add_task("export", total=total)
    tail = b""
    async for chunk in chunks:
        await asyncio.to_thread(file.write, chunk)
        progress.advance(task, chunk.count(b"\n"))
        tail = (tail + chunk)[-TAIL_BYTES:]
    return tail


async def _total(client: CRUDServiceContract, collection: str | None, progress: Progress) -> int | None:
    """Return how many lines there will be, near enough for a bar; None if there is none."""
    if progress.disable:
        return None
    total = 0
    for name in _COLLECTIONS if collection is None else (collection,):
        page = await getattr(client, name).list(PaginationParams(limit=1, include_total=True))
        total += page.total or 0
    return total


@contextmanager
def _written(output: str) -> Iterator[IO[bytes]]:
    """Open what to write to; a file takes its name when it is complete, and is its owner's alone."""
    target = Path(output).resolve()
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif target.exists() and not target.is_file():
        with target.open("wb") as device:
            yield device
    else:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


export_command: Final = make_export_command()
