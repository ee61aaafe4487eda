"""Which version of the schema a database has, and the script that brings it to the one that this code knows."""

import io
import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Final

from sarvanom.backends.storage.tables import METADATA

HEAD: Final = "0004"
"""The newest migration."""

_ADDED_AFTER: Final[dict[str, set[str]]] = {
    "0001": {"changes", "idempotency_keys", "keys", "accounts", "sessions"},
    "0002": {"keys", "accounts", "sessions"},
    "0003": {"accounts", "sessions"},
    HEAD: set(),
}
KNOWN: Final = tuple(_ADDED_AFTER)
VERSION_TABLE: Final = "alembic_version"


class IncompatibleDatabase(Exception):
    """The database is no database of ours, is of another version, or is half migrated; the text says what to do."""


def check_version(versions: Sequence[str], tables: AbstractSet[str]) -> bool:
    """Tell whether a database must be migrated, from its version table's rows and the tables that it has.

    Raises:
        IncompatibleDatabase: a newer version wrote it, or it is not whole.
    """
    if len(versions) != 1:
        raise IncompatibleDatabase(
            f"The database is half migrated, or another program's: {VERSION_TABLE} has {len(versions)} rows, not one"
        )
    [version] = versions
    if version not in KNOWN:
        raise IncompatibleDatabase(
            f"The database has schema {version}, and this version of SarvanOM knows up to {HEAD}: start a newer one"
        )
    missing = set(METADATA.tables) - _ADDED_AFTER[version] - tables
    if missing:
        lacking = ", ".join(sorted(missing))
        raise IncompatibleDatabase(
            f"The database is half migrated: it says schema {version} but lacks {lacking}; restore it"
        )
    return version != HEAD


@cache
def upgrade_script(dialect: str, start: str | None) -> str:
    """Return the SQL from one version, or from an empty database, to `HEAD`; it belongs into one transaction."""
    return fresh_script(dialect).read_text() if start is None else written_script(dialect, start)


def fresh_script(dialect: str) -> Path:
    """Return the file with what `written_script` gives for an empty database: a first start does not import Alembic."""
    return Path(__file__).with_name("migrations") / f"fresh_{dialect}.sql"


def written_script(dialect: str, start: str | None) -> str:
    """Return what Alembic writes to bring a database from one version, or from nothing, to `HEAD`."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of its plugins, and of no database of ours
    from alembic import command
    from alembic.config import Config

    script = io.StringIO()
    config = Config(output_buffer=script, attributes={"dialect": dialect})
    config.set_main_option("script_location", "sarvanom:backends/storage/migrations")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, f"{start or 'base'}:{HEAD}", sql=True)
    return script.getvalue()
