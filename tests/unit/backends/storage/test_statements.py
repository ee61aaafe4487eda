"""Statements of one row: named parameters for every value, and the values that an item binds."""

import re
from typing import Any

import pytest

from sarvanom.backends.storage.sql import SQL
from sarvanom.backends.storage.sqlite.database import DIALECT
from sarvanom.backends.storage.statements import (
    counter_statements,
    resource_statements,
    row_columns,
    row_values,
    stats_statement,
)
from sarvanom.backends.storage.tables import TABLES
from sarvanom.shared.models.crud_models import CacheEntry, UserProfile
from sarvanom.shared.resources import CACHE, RESOURCES, STORED, USERS, Resource


def parameters(sql: SQL) -> set[str]:
    return set(re.findall(r":(\w+)", sql.text))


@pytest.mark.parametrize("resource", RESOURCES)
def test_parameters_are_named_like_the_columns(resource: Resource[Any]) -> None:
    statements = resource_statements(resource, DIALECT)
    columns = set(TABLES[resource.collection].rows.c.keys())
    assert parameters(statements.insert) == columns
    assert parameters(statements.update) == columns - {resource.id_field, "created_at"} | {"id"}
    assert parameters(statements.current) == parameters(statements.delete) == {"id"}
    assert parameters(statements.read) == ({"id", "now"} if resource.lifetime else {"id"})


def test_tags_have_statements_and_other_columns_do_not() -> None:
    statements = resource_statements(CACHE, DIALECT)
    assert {name: parameters(sql) for name, sql in statements.insert_tag.items()} == {"tags": {"id", "value"}}
    assert {name: parameters(sql) for name, sql in statements.delete_tags.items()} == {"tags": {"id"}}
    assert resource_statements(USERS, DIALECT).insert_tag == {}


def test_statements_are_compiled_once() -> None:
    assert resource_statements(USERS, DIALECT) is resource_statements(USERS, DIALECT)
    assert counter_statements(DIALECT) is counter_statements(DIALECT)
    assert row_values(USERS) is row_values(USERS)


def test_counters_are_read_set_and_added_to() -> None:
    statements = counter_statements(DIALECT)
    assert parameters(statements.read) == {"counter"}
    assert parameters(statements.put) == parameters(statements.add) == {"counter", "amount"}


def test_stats_count_live_rows_where_rows_expire() -> None:
    assert parameters(stats_statement(CACHE, DIALECT)) == {"now"}
    assert parameters(stats_statement(USERS, DIALECT)) == set()


def test_row_holds_what_is_searched_by_as_it_is_compared() -> None:
    user = UserProfile(user_id="Ada", username="ADA", email="A@Example.org", service="Chat")
    scalars = {"user_id": "Ada", "username": "ada", "email": "a@example.org", "service": "Chat"}
    assert row_values(USERS).scalars(user) == scalars
    assert row_values(USERS).tags(user) == {}


@pytest.mark.parametrize("resource", STORED)
def test_columns_come_in_the_order_of_what_is_bound_without_names(resource: Resource[Any]) -> None:
    expires_at = () if resource.lifetime is None else ("expires_at",)
    stamps = ("created_at", "updated_at", "revision", *expires_at, "body")
    assert row_columns(resource) == (*row_values(resource).names, *stamps)
    assert row_columns(resource)[0] == resource.id_field


def test_tags_are_bound_once_each_in_their_order() -> None:
    entry = CacheEntry(key="k", value=1, tags=["b", "a", "b"])
    assert row_values(CACHE).scalars(entry) == {"key": "k", "service": "default"}
    assert row_values(CACHE).tags(entry) == {"tags": ["b", "a"]}
