"""Tables derive from the declarations, and an index serves every order."""

from typing import Any

import apsw
import pytest
import sqlalchemy as sa

from sarvanom.backends.storage.listing import page_statement
from sarvanom.backends.storage.sqlite.database import DIALECT, open_reader, open_writer
from sarvanom.backends.storage.tables import CHANGES, COUNTERS, IDEMPOTENCY_KEYS, METADATA, TABLES
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import STORED, ColumnKind, Resource


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    file = tmp_path_factory.mktemp("tables") / "s.db"
    open_writer(file).close()
    return open_reader(file)


def plan(connection: apsw.Connection, resource: Resource[Any], query_string: bytes) -> str:
    sql, values = page_statement(resource, parse_query(resource, query_string), DIALECT, 0)
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql.text}", values))


def test_every_collection_has_a_table_and_one_for_each_list_of_tags() -> None:
    assert [*TABLES] == [resource.collection for resource in STORED]
    assert set(METADATA.tables) == {*TABLES, "cache_tags", COUNTERS.name, CHANGES.name, IDEMPOTENCY_KEYS.name}


@pytest.mark.parametrize("resource", STORED)
def test_row_has_the_searchable_columns_and_the_body(resource: Resource[Any]) -> None:
    scalars = {column.name for column in resource.columns if column.kind is not ColumnKind.TAGS}
    expiry = {"expires_at"} if resource.lifetime else set()
    rows = TABLES[resource.collection].rows
    assert set(rows.c.keys()) == scalars | expiry | {"body"}
    assert [column.name for column in rows.primary_key] == [resource.id_field]
    assert {column.name for column in rows.c if column.unique} == set(resource.unique)
    assert {column.name for column in rows.c if column.nullable} == {
        *expiry, *(column.name for column in resource.columns if column.nullable)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "sort"),
    [
        (resource, direction + column.name)
        for resource in STORED
        for column in resource.columns
        if column.sortable
        for direction in ("", "-")
    ],
)
def test_index_serves_every_sort_in_both_directions(
    connection: apsw.Connection, resource: Resource[Any], sort: str
) -> None:
    query = parse_query(resource, f"sort={sort}".encode())
    values = [1 if order.column.kind is ColumnKind.INTEGER else "a" for order in query.orders]
    for text in (f"sort={sort}", f"sort={sort}&cursor={query.cursor(values)}"):
        found = plan(connection, resource, text.encode())
        assert "INDEX" in found
        assert "TEMP B-TREE FOR ORDER BY" not in found, found
    assert "SEARCH" in found, "a later page begins where the one before ended"


@pytest.mark.parametrize(
    ("resource", "query_string"),
    [
        (resource, f"{column.name}={1 if column.kind is ColumnKind.INTEGER else 'a'}")
        for resource in STORED
        for column in resource.columns
        if (column.sortable or column.name == "service") and column.kind is not ColumnKind.TIMESTAMP
    ],
)
def test_index_serves_equality_in_the_order_of_creation(
    connection: apsw.Connection, resource: Resource[Any], query_string: str
) -> None:
    found = plan(connection, resource, query_string.encode())
    assert "SEARCH" in found
    assert "TEMP B-TREE" not in found, found


@pytest.mark.parametrize("query_string", [b"tags__contains=a", b"key__in=a,b", b"key__prefix=a", b"service=a"])
def test_index_serves_filters_on_a_cache(connection: apsw.Connection, query_string: bytes) -> None:
    assert "SEARCH" in plan(connection, STORED[0], query_string)


def test_database_is_strict_about_types(connection: apsw.Connection) -> None:
    strict = {row[1]: row[5] for row in connection.execute("PRAGMA table_list")}
    assert {name: strict[name] for name in METADATA.tables} == dict.fromkeys(METADATA.tables, 1)


def test_schema_has_no_table_that_sqlalchemy_would_draw_differently(connection: apsw.Connection) -> None:
    for table in METADATA.sorted_tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
        assert columns == [column.name for column in table.columns]
        assert isinstance(table, sa.Table)
