"""Declarations: what derives from them, and that a wrong one fails when it is made."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.crud_models import CacheEntry, Dataset, UserProfile
from sarvanom.shared.models.secret_fields import Secret
from sarvanom.shared.resources import (
    CACHE,
    DATASETS,
    MODELS,
    RESOURCES,
    SETTINGS,
    USERS,
    Column,
    ColumnKind,
    Resource,
    check_id,
    format_timestamp,
)


def names(resource: Resource[Any], flag: str) -> set[str]:
    return {column.name for column in resource.columns if getattr(column, flag)}


@pytest.mark.parametrize(
    "fields",
    [
        {"id_field": "nme"},
        {"unique": ("mail",)},
        {"filterable": ("",)},
        {"sortable": ("size", "sise")},
        {"secret": Secret("metadatum")},
        {"secret": Secret("metadata", flag="encripted")},
    ],
)
def test_declaration_with_a_misspelt_field_fails_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="declares fields that Dataset lacks"):
        Resource(**{"name": "x", "collection": "xs", "model": Dataset, "id_field": "dataset_id", **fields})


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_can_be_found_and_sorted_by_what_all_have(resource: Resource[Any]) -> None:
    common = {resource.id_field, "created_at", "updated_at"}
    assert names(resource, "sortable") >= common
    assert names(resource, "filterable") >= {*common, "service", "revision"}
    assert not any(column.nullable for column in resource.columns if column.name in common)


def test_columns_are_those_declared() -> None:
    assert names(USERS, "unique") == {"username", "email"}
    assert names(USERS, "sortable") == {"user_id", "username", "email", "created_at", "updated_at"}
    assert names(DATASETS, "nullable") == {"size"}
    kinds = {column.name: column.kind for resource in RESOURCES for column in resource.columns}
    assert kinds["tags"] is ColumnKind.TAGS
    assert kinds["enabled"] is ColumnKind.BOOLEAN
    assert kinds["size"] is kinds["priority"] is kinds["revision"] is ColumnKind.INTEGER
    assert kinds["created_at"] is ColumnKind.TIMESTAMP
    assert kinds["category"] is ColumnKind.TEXT


def test_column_that_is_not_there_is_none() -> None:
    assert SETTINGS.column("setting_value") is None
    column = SETTINGS.column("category")
    assert column is not None
    assert column.name == "category"


def test_collections_and_names_are_their_own() -> None:
    assert len({resource.collection for resource in RESOURCES}) == len({resource.name for resource in RESOURCES}) == 7


def test_item_knows_its_id_and_path() -> None:
    item = CacheEntry(key="a/b:c@1", value=None)
    assert CACHE.id_of(item) == "a/b:c@1"
    assert CACHE.path(CACHE.id_of(item)) == "/cache/a/b:c@1"


def test_cache_entries_expire_and_nothing_else_does() -> None:
    assert [resource for resource in RESOURCES if resource.lifetime is not None] == [CACHE]
    assert CACHE.lifetime is not None
    assert CACHE.lifetime(CacheEntry(key="k", value=1, ttl=7)) == 7
    assert CACHE.lifetime(CacheEntry(key="k", value=1, ttl=None)) is None


def test_unique_text_is_compared_without_its_case() -> None:
    unique = Column("email", ColumnKind.TEXT, unique=True)
    assert unique.stored("Stra\u00dfe@Example.ORG") == "strasse@example.org"
    assert Column("name", ColumnKind.TEXT).stored("Ada") == "Ada"
    assert Column("size", ColumnKind.INTEGER, unique=True).stored(3) == 3


YEARS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.timedeltas(-timedelta(hours=23), timedelta(hours=23)).map(timezone),
)


@given(YEARS, YEARS)
@settings(deadline=None)
def test_order_of_timestamps_is_the_order_of_time(one: datetime, other: datetime) -> None:
    first, second = format_timestamp(one), format_timestamp(other)
    assert len(first) == len(second) == 27
    assert (first < second) is (one < other)
    assert datetime.fromisoformat(first) == one


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "0001-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_time_beyond_the_years_becomes_the_nearest_one(moment: datetime, text: str) -> None:
    assert format_timestamp(moment) == text


def test_timestamp_is_utc_to_the_microsecond() -> None:
    assert (
        format_timestamp(datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-30T23:00:00.000000Z"
    )
    column = Column("created_at", ColumnKind.TIMESTAMP)
    assert column.stored(datetime(2026, 1, 31, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-31T01:02:03.000004Z"


def test_bad_id_is_refused_by_the_name_of_its_field() -> None:
    assert check_id(MODELS, "a/b") == "a/b"
    with pytest.raises(ValidationFailed, match="This is no model_name") as caught:
        check_id(MODELS, "a//b")
    assert [error.field for error in caught.value.errors] == ["model_name"]
    assert "a//b" not in caught.value.errors[0].message


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("value", [None, 7, "yesterday", {"a": []}])
def test_what_a_caller_sends_for_the_servers_fields_is_ignored(resource: Resource[Any], value: object) -> None:
    sent = dict.fromkeys(resource.model.server_fields, value)
    assert resource.patch_model.model_validate(sent).to_json()


@pytest.mark.parametrize("resource", RESOURCES)
def test_patch_may_name_any_field_and_none(resource: Resource[Any]) -> None:
    assert set(resource.patch_model.model_fields) == set(resource.model.model_fields)
    assert resource.patch_model.model_validate({}).model_fields_set == set()
    if not resource.is_issued:
        with pytest.raises(ValidationError):
            resource.patch_model.model_validate({resource.id_field: None})
    with pytest.raises(ValidationError):
        resource.patch_model.model_validate({"colour": "red"})


@pytest.mark.parametrize("resource", RESOURCES)
def test_patch_may_be_null_exactly_where_that_restores_a_default(resource: Resource[Any]) -> None:
    for name, info in resource.model.model_fields.items():
        if not info.is_required() or name in resource.model.server_fields:
            assert resource.patch_model.model_validate({name: None}).model_fields_set == {name}
        else:
            with pytest.raises(ValidationError):
                resource.patch_model.model_validate({name: None})


@pytest.mark.parametrize("resource", RESOURCES)
def test_replacement_needs_all_but_its_id(resource: Resource[Any]) -> None:
    required = {name for name, info in resource.model.model_fields.items() if info.is_required()}
    required -= resource.model.server_fields
    replaced = {name for name, info in resource.replace_model.model_fields.items() if info.is_required()}
    assert replaced == required - {resource.id_field}


@pytest.mark.parametrize("resource", RESOURCES)
def test_derived_models_are_named_after_the_resource(resource: Resource[Any]) -> None:
    name = resource.model.__name__
    derived = (resource.write_model, resource.replace_model, resource.patch_model)
    assert [model.__name__ for model in derived] == [f"{name}Write", f"{name}Replace", f"{name}Patch"]
    assert "default" not in resource.patch_model.model_json_schema()["properties"]["service"]


def test_written_item_is_an_item() -> None:
    item = USERS.write_model(user_id="a", username="a", email="a@e", revision="nonsense")  # type: ignore[arg-type]
    assert isinstance(item, UserProfile)
    assert b"nonsense" not in item.to_json()
