"""Unique values that move between resources inside one group of writes: as if each write were alone, in its turn."""

import asyncio
from itertools import permutations
from typing import Final

import pytest

from sarvanom.backends.storage.contract import Store, Write, Written
from sarvanom.shared.errors import ResourceConflict
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.query_strings import parse_query
from sarvanom.shared.resources import USERS
from tests.contracts.storage.writing import Outcome, attempt, patching, putting, removing, together, told, user

type Names = dict[str, str]

MOVES: Final[dict[str, Write]] = {
    "a gives x up": putting(USERS, user("a", "free")),
    "a is deleted": removing(USERS, "a"),
    "b takes x": putting(USERS, user("b", "X")),
    "b patches to x": patching(USERS, "b", username="x"),
    "c is created as x": putting(USERS, user("c", "x")),
    "c takes y": putting(USERS, user("c", "Y")),
    "a takes y": patching(USERS, "a", username="y"),
}


async def names(store: Store) -> Names:
    page = await store.list(USERS, parse_query(USERS, b"limit=1000"))
    users = [UserProfile.model_validate_json(body) for body in page.bodies]
    return {user.user_id: user.username for user in users}


async def start(store: Store) -> None:
    """Have a named x and b named y."""
    for id in "abc":
        await attempt(store, removing(USERS, id))
    await store.write_all([putting(USERS, user("a", "x")), putting(USERS, user("b", "y"))])


async def one_by_one(store: Store, writes: list[Write]) -> list[Outcome]:
    return [await attempt(store, write) for write in writes]


def kinds(outcomes: list[Outcome]) -> list[object]:
    return ["written" if isinstance(outcome, Written) else type(outcome) for outcome in outcomes]


async def test_value_that_is_given_up_can_be_taken_at_once(store: Store) -> None:
    await start(store)
    outcomes = await store.write_all([MOVES["a gives x up"], MOVES["b takes x"]])
    assert kinds(outcomes) == ["written", "written"]
    assert await names(store) == {"a": "free", "b": "X"}


async def test_value_cannot_be_taken_before_it_is_given_up(store: Store) -> None:
    await start(store)
    outcomes = await store.write_all([MOVES["b takes x"], MOVES["a gives x up"]])
    assert kinds(outcomes) == [ResourceConflict, "written"]
    assert await names(store) == {"a": "free", "b": "y"}


@pytest.mark.parametrize("ids", ["ab", "ba"])
async def test_two_resources_swap_their_values_by_way_of_a_third(store: Store, ids: str) -> None:
    await start(store)
    one, two = [*ids]
    before = await names(store)
    outcomes = await store.write_all(
        [
            putting(USERS, user(one, "between")),
            putting(USERS, user(two, before[one])),
            putting(USERS, user(one, before[two])),
        ]
    )
    assert kinds(outcomes) == ["written"] * 3
    assert await names(store) == {one: before[two], two: before[one]}


@pytest.mark.parametrize("ids", ["abc", "acb", "bac", "bca", "cab", "cba"])
async def test_three_resources_pass_their_values_round(store: Store, ids: str) -> None:
    await store.write_all([putting(USERS, user(id)) for id in ids])
    one, two, three = [*ids]
    outcomes = await store.write_all(
        [
            patching(USERS, one, username="between"),
            patching(USERS, two, username=one),
            patching(USERS, three, username=two),
            patching(USERS, one, username=three),
        ]
    )
    assert kinds(outcomes) == ["written"] * 4
    assert await names(store) == {one: three, two: one, three: two}


async def test_every_order_of_moves_ends_as_if_one_came_after_the_other(store: Store) -> None:
    for order in permutations(MOVES.values(), 2):
        await start(store)
        alone = await one_by_one(store, [*order])
        expected = await names(store)
        await start(store)
        grouped = await store.write_all(order)
        assert kinds(grouped) == kinds(alone)
        assert await names(store) == expected


async def test_value_goes_to_one_of_many_who_want_it(store: Store, other: Store) -> None:
    writes = [putting(USERS, user(f"u{number}", "Wanted")) for number in range(40)]
    halves = await asyncio.gather(together(store, writes[:20]), together(other, writes[20:]))
    outcomes = [told(outcome) for half in halves for outcome in half]
    assert outcomes.count(1) == 1
    assert outcomes.count(ResourceConflict) == 39
    assert len(await names(store)) == 1


async def test_value_wanders_through_many_resources_in_one_group(store: Store) -> None:
    writes: list[Write] = [putting(USERS, user("u0", "baton"))]
    for number in range(1, 30):
        writes += [removing(USERS, f"u{number - 1}"), putting(USERS, user(f"u{number}", "BATON"))]
    assert kinds(await store.write_all(writes)) == ["written"] * 59
    assert await names(store) == {"u29": "BATON"}
