"""An import that is sent again tells of each line what it told before."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_core import from_json

from sarvanom.backends.storage.contract import Store
from sarvanom.services.crud.bulk_lines import LineImport
from sarvanom.services.crud.idempotency import Origins
from sarvanom.shared.models.bulk_models import OnConflict
from sarvanom.shared.resources import CACHE, SETTINGS, Resource
from sarvanom.web.bulk_lines import Line
from tests.harness.secrets import keyring

ORIGINS = Origins(keyring())


async def results_of(owner: LineImport, lines: Sequence[bytes]) -> list[dict[str, object]]:
    entries = [owner.read(Line(number, line)) for number, line in enumerate(lines, 1)]
    return [from_json(result) for result in await owner.carry_out(entries)]


@pytest.mark.parametrize(
    ("resource", "template"),
    [(SETTINGS, b'{"setting_key":"%s","setting_value":%d}'), (CACHE, b'{"key":"%s","value":%d}')],
    ids=["settings", "cache"],
)
async def test_lines_that_replace_what_the_same_group_created_are_told_apart(
    store: Store, other: Store, resource: Resource[Any], template: bytes
) -> None:
    lines = [template % (id, value) for value, id in enumerate((b"a", b"a", b"b", b"a"))]
    owner = LineImport(resource, store, OnConflict.REPLACE, key="import", origins=ORIGINS)
    first = await results_of(owner, lines)
    assert [result["outcome"] for result in first] == ["created", "replaced", "created", "replaced"]
    assert [result["status"] for result in first] == [201, 200, 201, 200]
    for again in (store, other):
        replayed = await results_of(
            LineImport(resource, again, OnConflict.REPLACE, key="import", origins=ORIGINS), lines
        )
        assert replayed == [{**result, "replayed": True} for result in first]
