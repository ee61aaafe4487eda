"""`sarvanom secrets`: master keys, and the secrets that they seal."""

import asyncio
import sys
from typing import Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from sarvanom.cli.options import load_settings, settings_options
from sarvanom.settings import CrudSettings

_OF_DATABASE = ("data_dir", "database_url", "master_keys_file", "master_key_command")


@click.group("secrets")
def secrets_command() -> None:
    """Make master keys, and seal secrets anew."""


@secrets_command.command("keygen")
def keygen_command() -> None:
    """Print a new master key."""
    from sarvanom.security.keyring import new_key

    click.echo(new_key())


@secrets_command.command("rotate")
@settings_options(CrudSettings, only=_OF_DATABASE)
def rotate_command(**flags: Any) -> None:
    """Seal every secret anew by the first master key, while services run.

    All services must know that key before: see docs/secrets.md for the order. It can be interrupted, and run again. It
    ends with how many values are under each key, and fails if one is under another than the first.
    """
    settings = load_settings(CrudSettings, flags)
    report = _rotate(settings)
    for table, counted in report.values.items():
        for id in dict.fromkeys((*report.keys, *sorted(counted))):
            mark = ", the first" if id == report.first else ""
            click.echo(f"{table}: {counted[id]:,} values under key {id}{mark}")
    for place in report.broken:
        click.echo(f"does not open: {place}", err=True)
    if report.left:
        raise click.ClickException(
            f"{report.left:,} values are not under key {report.first}: does every service seal by it? Run this again"
        )
    click.echo(f"Done: {report.rewritten:,} texts sealed anew; 0 values are under another key than {report.first}.")


def _rotate(settings: CrudSettings) -> Any:
    from sarvanom.backends.storage.schema import IncompatibleDatabase
    from sarvanom.shared.errors import SarvanOMError

    progress = Progress(
        "{task.description}",
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    tasks: dict[str, Any] = {}

    def on_rows(table: str, count: int) -> None:
        if table not in tasks:
            tasks[table] = progress.add_task(table, total=None)
        progress.advance(tasks[table], count)

    try:
        with progress:
            return asyncio.run(_run(settings, on_rows))
    except (IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        raise click.ClickException(f"Not rotated, or not to the end: {error}; it can be run again") from None
    except KeyboardInterrupt:
        raise click.ClickException("Interrupted: what was done is done; run it again for the rest") from None


async def _run(settings: CrudSettings, on_rows: Any) -> Any:
    from sarvanom.security.sealing import Sealer
    from sarvanom.services.crud.master_keys import KeySources
    from sarvanom.services.crud.rotation import rotate
    from sarvanom.services.crud.storage import open_store

    sources = KeySources(
        settings.master_keys, settings.master_key_command, settings.master_keys_file, settings.data_dir
    )
    store = open_store(settings.database, connections=settings.connections_per_worker)
    try:
        return await rotate(store.bodies, Sealer(sources.open(settings.database)), on_rows)
    finally:
        await store.aclose()
