"""`sarvanom migrate`: the database's schema, brought to the newest version."""

import asyncio
from typing import Any

import click

from sarvanom.cli.exits import CannotStart
from sarvanom.cli.options import load_settings, settings_options
from sarvanom.settings import CrudSettings


@click.command("migrate")
@settings_options(CrudSettings, only=["data_dir", "database_url"])
def migrate_command(**flags: Any) -> None:
    """Bring the database's schema to the newest version.

    Needed once for a new PostgreSQL database, and after an update; an SQLite file is migrated at the start. It happens
    in one transaction: what is interrupted has not begun. Stop running services of the version before first.
    """
    settings = load_settings(CrudSettings, flags)
    from sarvanom.backends.storage.schema import IncompatibleDatabase
    from sarvanom.services.crud.storage import migrate_store
    from sarvanom.shared.errors import SarvanOMError

    try:
        before, after = asyncio.run(migrate_store(settings.database))
    except (IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        raise CannotStart(f"The database cannot be migrated: {error}") from None
    if before == after:
        click.echo(f"The database has schema {after} already.")
    else:
        click.echo(f"Migrated from {before or 'an empty database'} to schema {after}.")
