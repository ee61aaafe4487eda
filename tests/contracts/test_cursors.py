"""Cursors and sorts that no list gave or knows are refused; those of the longest values fit."""

import base64
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.crud_models import PaginationParams
from tests.contracts.samples import DATASET, USER, new_id
from tests.contracts.test_lists import id_prefix, make_rows, walk

pytestmark = pytest.mark.asyncio(loop_scope="session")


def encode_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


UNKNOWN_SORTS = (
    "",
    ",",
    "nonsense",
    "-",
    "--user_id",
    "username,",
    "username desc",
    "Username",
    "preferences",
    "revision",
    "\u00e9",
    "username\x00",
)
FORGED_CURSORS = (
    "",
    "!",
    "A",
    "=",
    "\u00e9",
    "\x00",
    "_____w",
    "Wzs" * 1000,
    "W1tb" * 1000,
    *map(
        encode_cursor,
        (
            "null",
            "1",
            "{}",
            "[]",
            '["user_id"]',
            '["user_id",5]',
            '["user_id",null]',
            '["user_id",["a"]]',
            '["user_id","a","b"]',
            '["setting_key","a"]',
            '["-user_id","a"]',
            r'["user_id","\ud800"]',
            '["user_id","a"] ,',
            "[" * 3000,
        ),
    ),
)


async def test_unknown_sort_is_refused(service: CRUDServiceContract) -> None:
    for sort in UNKNOWN_SORTS:
        with pytest.raises(ValidationFailed) as caught:
            await service.users.list(PaginationParams(sort=sort))
        assert {error.field for error in caught.value.errors} == {"sort"}, sort


async def test_cursor_that_nobody_gave_is_refused(service: CRUDServiceContract) -> None:
    for cursor in FORGED_CURSORS:
        with pytest.raises(ValidationFailed) as caught:
            await service.users.list(PaginationParams(cursor=cursor))
        assert {error.field for error in caught.value.errors} == {"cursor"}, cursor


async def test_cursor_of_another_list_is_refused(service: CRUDServiceContract) -> None:
    prefix = f"{new_id()}/"
    await make_rows(service.datasets, DATASET, prefix, 3)
    filters = id_prefix(DATASET, prefix)
    cursor = (await service.datasets.list(PaginationParams(limit=1, sort="-size"), filters)).next_cursor
    assert cursor is not None
    for sort in (None, "size", "name", "-size,name", "-size,dataset_id"):
        with pytest.raises(ValidationFailed):
            await service.datasets.list(PaginationParams(limit=1, sort=sort, cursor=cursor), filters)
    with pytest.raises(ValidationFailed):
        await service.users.list(PaginationParams(limit=1, cursor=cursor))
    with pytest.raises(ValidationFailed):
        await service.datasets.list(PaginationParams(limit=1, sort="-size", cursor=cursor[:-2]), filters)


async def test_longest_sort_values_fit_into_a_cursor(service: CRUDServiceContract) -> None:
    prefix = f"{new_id()}/"
    for number in range(3):
        fields = user_of_greatest_length(number)
        await service.users.create(USER.build(f"{prefix}{number}".ljust(255, "~"), **fields))
    sort = "username,-email,created_at,-updated_at,user_id"
    assert len(await walk(service.users, id_prefix(USER, prefix), sort, 1)) == 3


def user_of_greatest_length(number: int) -> dict[str, Any]:
    """U+0390 grows to three characters, six bytes, when its case is folded."""
    domain = ".".join(["x" * 63, "y" * 63, "z" * 50, "org"])
    return {
        "username": f"{new_id()}{number}".ljust(255, "\u0390"),
        "email": f"{new_id()}{number}@{domain}"[:254],
    }
