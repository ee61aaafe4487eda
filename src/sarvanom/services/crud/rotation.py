"""Rotation: every secret that is kept, sealed anew by the first master key while callers read and write."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from sarvanom.backends.storage.bodies import BODY_TABLES, Bodies, BodyTable, Rewrite, StoredBody
from sarvanom.security.encryption import KeyMissing, SealBroken
from sarvanom.security.sealed_text import key_ids
from sarvanom.security.sealing import Sealer
from sarvanom.shared.resources import RESOURCES, Resource

type OnRows = Callable[[str, int], None]
"""Told after each page of a table how many rows more were looked at."""

_MAX_PASSES: Final = 5
_WITH_SECRETS: Final = {resource.collection: resource for resource in RESOURCES if resource.secret is not None}


@dataclass(slots=True)
class RotationReport:
    """What a rotation has come to: values by key, as the last walk found them, and places that do not open."""

    keys: tuple[str, ...]
    values: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    rewritten: int = 0

    @property
    def first(self) -> str:
        """The key that everything should be under."""
        return self.keys[0]

    @property
    def left(self) -> int:
        """How many values are under another key than the first, or do not open."""
        return sum(counted.total() - counted[self.first] for counted in self.values.values()) + len(self.broken)


async def rotate(bodies: Bodies, sealer: Sealer, on_rows: OnRows) -> RotationReport:
    """Walk through everything that is kept until nothing is left to do, and report.

    A text is replaced only if nobody changed it meanwhile, and says the same afterwards; revisions stay. What is
    interrupted can be run again, and goes on with what is left.
    """
    report = RotationReport(sealer.keyring.ids)
    for _ in range(_MAX_PASSES):
        report.values, report.broken = {}, []
        rewritten = 0
        for table in BODY_TABLES:
            rewritten += await _rotate_table(bodies, sealer, table, report, on_rows)
        report.rewritten += rewritten
        if not rewritten:
            break
    return report


async def _rotate_table(
    bodies: Bodies, sealer: Sealer, table: BodyTable, report: RotationReport, on_rows: OnRows
) -> int:
    counted = report.values[table.name] = Counter[str]()
    after, rewritten = table.first, 0
    while rows := await bodies.page(table, after):
        after = rows[-1].key
        rewrites = [one for row in rows if (one := _renewed(sealer, table, row, report)) is not None]
        rewritten += await bodies.rewrite(table, rewrites) if rewrites else 0
        counted.update(id for row in rows for id in key_ids(row.body or b""))
        on_rows(table.name, len(rows))
    return rewritten


def _renewed(sealer: Sealer, table: BodyTable, row: StoredBody, report: RotationReport) -> Rewrite | None:
    """Return the row's text as it is to be kept, if that is another one."""
    place = _resource_of(row)
    if row.body is None or place is None:
        return None
    resource, id = place
    try:
        body = sealer.renew(resource, id, row.body)
    except (KeyMissing, SealBroken):
        report.broken.append(f"{table.name} {row.key}")
        return None
    return None if body is row.body else Rewrite(row.key, row.body, body)


def _resource_of(row: StoredBody) -> tuple[Resource[Any], str] | None:
    """Return whose text a row holds; where the row does not say, the text does, by the name of its id."""
    if row.collection is not None:
        resource = _WITH_SECRETS.get(row.collection)
        return None if resource is None or row.id is None else (resource, row.id)
    body = from_json(row.body) if row.body is not None else None
    if isinstance(body, dict):
        for resource in _WITH_SECRETS.values():
            if resource.id_field in body:
                return resource, body[resource.id_field]
    return None
