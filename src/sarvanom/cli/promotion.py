"""`sarvanom promote`: from the embedded database to PostgreSQL."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from sarvanom.cli.options import load_settings, settings_options
from sarvanom.settings import CrudSettings


@click.command("promote")
@click.option("--to", "target", required=True, metavar="URL", help="The database to fill: postgresql://….")
@settings_options(CrudSettings, only=["data_dir", "database_url"])
def promote_command(target: str, **flags: Any) -> None:
    """Copy the embedded database, history and revisions included, to an empty PostgreSQL database.

    It happens in one transaction, which is committed only after counts and checksums were compared. The file is locked
    against writes meanwhile, and left as it is; interrupted, the command says what became of it.
    """
    settings = load_settings(CrudSettings, flags)
    if not settings.database.startswith("sqlite:///"):
        raise click.ClickException(
            "The source must be an SQLite file; give --data-dir or --database-url sqlite:///FILE"
        )
    if not target.startswith(("postgresql://", "postgres://")):
        raise click.BadParameter("must be postgresql://USER:PASSWORD@HOST/NAME", param_hint="--to")
    counts = _promote(Path(settings.database.removeprefix("sqlite:///")), target)
    for table, count in counts.items():
        click.echo(f"{table}: {count:,} rows, checksum equal")
    click.echo(
        "Done. The file is as it was: stop any SarvanOM that still runs on it, and start it on the new database."
    )


def _promote(path: Path, target: str) -> dict[str, int]:
    from sarvanom.backends.storage.promotion import IN_DOUBT, PromotionInDoubt, PromotionRefused, Stage
    from sarvanom.backends.storage.schema import IncompatibleDatabase
    from sarvanom.services.crud.promotion import promote
    from sarvanom.shared.errors import SarvanOMError

    progress = Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    tasks: dict[str, Any] = {}
    stages = [Stage.COPYING]

    def on_rows(table: str, count: int) -> None:
        if table not in tasks:
            tasks[table] = progress.add_task(table, total=None)
        progress.advance(tasks[table], count)

    try:
        with progress:
            return asyncio.run(promote(path, target, on_rows, stages.append))
    except (PromotionRefused, IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        raise click.ClickException(f"Not promoted: {error}") from None
    except PromotionInDoubt as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        match stages[-1]:
            case Stage.COPYING:
                raise click.ClickException("Interrupted: nothing was changed; run it again") from None
            case Stage.COMMITTING:
                raise click.ClickException(f"Interrupted during the commit: {IN_DOUBT}") from None
            case Stage.COMMITTED:
                click.echo("Interrupted after the commit: everything is there, and was compared.", err=True)
                return {}
