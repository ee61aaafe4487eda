"""`sarvanom import all`: an export of everything into an empty store."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import IO, Final

import click
from rich.progress import DownloadColumn

from sarvanom.cli.clients import INTERRUPTED, Connect, explain, gateway_options, make_progress, name_of
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.bulk_models import RestoreSummary

END: Final = b'{"end":true,'
"""How the last line of an export begins."""
TAIL_BYTES: Final = 256
_CHUNK_BYTES: Final = 2**18


def make_restore_command(connect: Connect) -> click.Command:
    """Return the command `all`, which restores through what `connect(url, api_key)` returns."""
    return click.Command(
        "all",
        params=[click.Argument(["file"], type=click.Path(allow_dash=True)), *gateway_options()],
        callback=partial(_restore, connect),
        help="Restore an export of everything, ids, times and revisions included, into a store that was never used. "
        "FILE may be - for standard input. Either all of it is restored, or nothing.",
        short_help="Restore an export of everything into an empty store.",
    )


def _restore(connect: Connect, *, file: str, url: str, api_key: str | None) -> None:
    try:
        with click.open_file(file, "rb") as stream:
            size = _checked_size(stream, name_of(file))
            with make_progress(DownloadColumn()) as progress:
                task = progress.add_task("restore", total=size)
                chunks = _read(stream, lambda count: progress.advance(task, count))
                summary = asyncio.run(_send(connect, url, api_key, chunks))
    except OSError as error:
        raise click.ClickException(f"{name_of(file)}: {error.strerror or error}") from None
    except SarvanOMError as error:
        raise click.ClickException(explain(url, error, api_key=api_key)) from None
    except KeyboardInterrupt:
        click.echo("Interrupted: either all of it was restored, or nothing.", err=True)
        click.get_current_context().exit(INTERRUPTED)
    counts = ", ".join(f"{count:,} {collection}" for collection, count in summary.items.items())
    click.echo(f"Restored revision {summary.revision:,}: {counts}")


async def _send(connect: Connect, url: str, api_key: str | None, chunks: AsyncIterator[bytes]) -> RestoreSummary:
    async with connect(url, api_key) as client:
        return await client.archive.restore(chunks)


def _checked_size(stream: IO[bytes], name: str) -> int | None:
    """Return the file's size, None if it can be read only once; refuse a truncated one before anything is sent."""
    if not stream.seekable():
        return None
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    is_whole = is_ended(stream.read())
    stream.seek(0)
    if not is_whole:
        raise click.ClickException(f"{name}: is no whole export: the line that says that this is the end is missing")
    return size


def is_ended(tail: bytes) -> bool:
    """Tell whether an export ends with the line that says so."""
    return tail.rstrip().rpartition(b"\n")[2].startswith(END)


async def _read(stream: IO[bytes], on_read: Callable[[int], None]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(stream.read, _CHUNK_BYTES):
        yield chunk
        on_read(len(chunk))
