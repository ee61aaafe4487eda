"""The settings of a PostgreSQL server."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, JsonObject
from sarvanom.cli.importers.postgres_settings import POSTGRES_SETTINGS, restore_setting
from sarvanom.shared.models.crud_models import SystemSetting
from tests.unit.cli.importers.strategies import json_values, scalars


def parse_one(row: JsonValue) -> SystemSetting:
    (item,) = POSTGRES_SETTINGS.parse(json.dumps([row]).encode())
    return item


def test_columns_become_fields_and_the_others_the_value() -> None:
    row: JsonObject = {
        "name": "work_mem",
        "setting": "4096",
        "unit": "kB",
        "category": "Resource Usage / Memory",
        "short_desc": "Sets the maximum memory.",
        "vartype": "integer",
        "enumvals": None,
        "pending_restart": False,
    }
    assert parse_one(row) == SystemSetting(
        setting_key="work_mem",
        setting_value={
            "setting": "4096",
            "unit": "kB",
            "vartype": "integer",
            "enumvals": None,
            "pending_restart": False,
        },
        category="Resource Usage / Memory",
        description="Sets the maximum memory.",
    )


def test_rows_as_psql_prints_them_are_read() -> None:
    text = b'[{"name":"a","setting":"on"}, \n {"name":"b","setting":null}]\n'
    assert [item.setting_key for item in POSTGRES_SETTINGS.parse(text)] == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a"], 'row 1 must be an object, not ["a"]'),
        ({"setting": "on"}, "row 1: name: must be 1 to 255 letters"),
        ({"name": None, "setting": "on"}, "row 1: name: must be 1 to 255 letters"),
        ({"name": "a"}, 'row 1 ("a"): setting: must be there'),
        ({"name": "a", "setting": "", "category": 1}, "category: Input should be"),
        ({"name": "a", "setting": "", "short_desc": []}, "short_desc: Input should"),
        ({"name": "a", "setting": "", "category": "c" * 256}, "category: String"),
    ],
)
def test_a_bad_row_is_named_with_what_would_be_right(row: JsonValue, message: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        parse_one(row)
    assert message in str(caught.value)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(), json_values),
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b"]), "setting": scalars},
        optional={
            "category": st.sampled_from([None, "", "Files"]),
            "short_desc": st.none() | st.text(),
            "description": scalars,
            "setting_key": scalars,
            "setting_value": scalars,
        },
    ),
)
def test_restoring_gives_the_row_again(others: JsonObject, row: JsonObject) -> None:
    row = {**{f"x-{key}": value for key, value in others.items()}, **row}
    restored = restore_setting(parse_one(row))
    assert json.dumps(restored, sort_keys=True) == json.dumps(row, sort_keys=True)
