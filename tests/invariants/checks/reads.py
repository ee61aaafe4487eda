"""A read that was called after a state had been shown sees that state or a later one, and none from the future."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from tests.invariants.checks.indexed import IndexedHistory, Place, Violation, place, same
from tests.invariants.history import Body, Read


@dataclass(frozen=True, slots=True)
class State:
    """What a resource was from a revision on, and when the write was called that made it so."""

    revision: int
    body: Body
    called_at: float


def reads_are_not_stale(history: IndexedHistory) -> Iterator[Violation]:
    """A read sees a state that the log knows, that was not over when it was called, with the body it had.

    As revisions are in commit order, whoever was told of one knows that all before it are committed, those of other
    resources too: so a state is over once its successor, or any later revision, was shown to anybody.
    """
    states = _states(history)
    for read in history.reads:
        violation = _judge(read, states.get(place(read), [_ABSENT]), history.shown_before(read.called_at))
        if violation:
            yield violation


_ABSENT = State(0, None, float("-inf"))


def _states(history: IndexedHistory) -> dict[Place, list[State]]:
    return {
        where: [
            _ABSENT,
            *(
                State(change.revision, change.after, history.called_at.get(change.request_id, float("-inf")))
                for change in changes
            ),
        ]
        for where, changes in history.by_place.items()
    }


def _judge(read: Read, states: list[State], shown: int) -> Violation | None:
    """Return how the read breaks the rule, if it does; `shown` was known when it was called."""
    what = f"{read.reader} read {place(read)} at {'absent' if read.revision is None else read.revision}"
    matching = [state for state in states if _matches(read, state)]
    if not matching:
        return Violation("read_not_in_log", f"{what}, which the log does not have for it")
    current = states[bisect_right(states, shown, key=lambda state: state.revision) - 1]
    past = [state for state in matching if state.called_at <= read.returned_at]
    if not past:
        return Violation("future_read", f"{what} before the write that made it so was called")
    fresh = [state for state in past if state.revision >= current.revision]
    if not fresh:
        return Violation("stale_read", f"{what}, which {current.revision} had replaced when {shown} had been shown")
    if not same(read.body, fresh[0].body):
        return Violation("read_differs", f"{what} and got {read.body}, but the log has {fresh[0].body}")
    return None


def _matches(read: Read, state: State) -> bool:
    if read.revision is None:
        return state.body is None
    return state.body is not None and state.revision == read.revision
