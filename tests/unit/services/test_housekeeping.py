"""Housekeeping: round after round, at once while there is something to do, and never ended by a refusal."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from sarvanom.backends.storage.contract import Store
from sarvanom.services.crud.housekeeping import Retention, keep_house
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.observations import ErrorUnforeseen, listen


async def nothing(_: Store, before: str) -> int:
    return 0


async def keep(monkeypatch: pytest.MonkeyPatch, rounds: Sequence[int | Exception]) -> list[float]:
    """Return how long it rested after each round; it is cancelled after the last."""
    left, rests = list(rounds), list[float]()

    async def reclaim(_: Store) -> int:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if not left:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(Store, "__abstractmethods__", frozenset())
    monkeypatch.setattr(Store, "reclaim", reclaim)
    monkeypatch.setattr(Store, "forget_keys", nothing)
    with pytest.raises(asyncio.CancelledError):
        await keep_house(Store(), Retention())  # type: ignore[abstract]
    return rests


async def test_next_batch_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await keep(monkeypatch, [0, 1000, 7, 0]) == [1.0, 0.01, 0.01, 1.0]


async def test_database_that_is_away_is_logged_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as lines:
        assert await keep(monkeypatch, [ServiceUnavailable("too busy"), 3, 0]) == [1.0, 0.01, 1.0]
    assert [(line["log_level"], line["reason"]) for line in lines] == [("warning", "too busy")]


async def test_defect_is_told_of_and_the_next_round_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[ErrorUnforeseen] = []
    end = listen(ErrorUnforeseen, told.append)
    assert await keep(monkeypatch, [ZeroDivisionError(), 0]) == [1.0, 1.0]
    end()
    assert [one.work for one in told] == ["reclaim expired entries"]


class Compacting:
    """A log that notes what it is asked to let go."""

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, bool]] = []
        self.log = self

    async def compact(self, *, keep: int | None = None, before: str | None = None) -> int:
        self.asked.append((keep, before is not None))
        return 3


@pytest.mark.parametrize(
    ("retention", "asked"),
    [
        (Retention(), []),
        (Retention(history_changes=7), [(7, False)]),
        (Retention(history_seconds=60.0), [(None, True)]),
        (Retention(history_seconds=60.0, history_changes=7), [(7, True)]),
    ],
)
async def test_log_is_compacted_only_where_a_setting_asks_for_it(
    retention: Retention, asked: list[tuple[int | None, bool]]
) -> None:
    store = Compacting()
    assert await retention.compact(store) == 3 * len(asked)  # type: ignore[arg-type]
    assert store.asked == asked
