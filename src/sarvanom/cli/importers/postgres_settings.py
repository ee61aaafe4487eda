"""The settings of a PostgreSQL server, as `psql -Atc 'select json_agg(s) from pg_settings s'` prints them.

`name` becomes the key, `category` and `short_desc` the category and the description; the value is an object of all
other columns, verbatim. `name` and `setting` must be there, `unit`, `vartype` and the others may be.
"""

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, JsonObject
from sarvanom.cli.importers.importer import Entry, Importer, label_of, object_at
from sarvanom.cli.importers.layout import Layout
from sarvanom.shared.models.crud_models import SystemSetting
from sarvanom.shared.resources import SETTINGS

_LAYOUT: Final = Layout(
    members={
        "name": "setting_key",
        "category": "category",
        "short_desc": "description",
    },
    rest="setting_value",
)


def read_settings(document: JsonValue) -> Iterator[Entry]:
    """Yield the rows."""
    if not isinstance(document, list):
        raise ImportRefused("must be a list of rows, as `select json_agg(s) from pg_settings s` prints it")
    for number, value in enumerate(document, 1):
        row = object_at(label_of("row", number, None), value)
        label = label_of("row", number, row.get("name"))
        if "setting" not in row:
            raise ImportRefused(f"{label}: setting: must be there, as it is in pg_settings")
        fields, rest = _LAYOUT.split(row)
        yield Entry(label, {**fields, "setting_value": rest})


def restore_setting(item: SystemSetting) -> JsonObject:
    """Return the row as it stood in the file."""
    return _LAYOUT.join(item)


POSTGRES_SETTINGS: Final = Importer(
    name="postgres-settings",
    reads="pg_settings of a PostgreSQL server as a JSON list of rows",
    resource=SETTINGS,
    entries=read_settings,
    restore=restore_setting,
    members={field: member for member, field in _LAYOUT.members.items()},
)
