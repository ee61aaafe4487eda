"""Items into a collection, and what became of each."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from sarvanom.shared.errors import (
    MalformedJSON,
    PayloadTooLarge,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    ValidationFailed,
)
from sarvanom.shared.models.bulk_models import ImportResult, Outcome

MAX_REASONS: Final = 10

# What concerns one item; any other error would meet the next item just the same.
_REFUSALS: Final = (
    MalformedJSON,
    PayloadTooLarge,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
    ValidationFailed,
)


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    `reasons` are those of the first refusals; `halted_by` is what ended it early, at the item `halted_at`.
    """

    total: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    halted_by: SarvanOMError | None = None
    halted_at: str = ""

    @property
    def done(self) -> int:
        """How many items have an outcome."""
        return self.outcomes.total()

    def refuse(self, label: str, error: SarvanOMError) -> None:
        """Note why an item was refused, if there is still room."""
        if len(self.reasons) < MAX_REASONS:
            causes = "; ".join(f"{name}: {message}" for name, message in error.errors)
            self.reasons.append(f"{label}: {error.detail}" + (f" ({causes})" if causes else ""))


async def note_results(
    results: AsyncGenerator[ImportResult],
    tally: Tally,
    label_of: Callable[[int], str],
    on_done: Callable[[int], object] = lambda _: None,
) -> None:
    """Take in results as they come, up to an error that would meet every item; `on_done` is told each line's number.

    The tally is current at every moment, so that it also tells the truth when this is cancelled.
    """
    last = 0
    try:
        async with aclosing(results):
            async for result in results:
                error = result.error
                if error is not None and not isinstance(error, _REFUSALS):
                    tally.halted_by, tally.halted_at = error, label_of(result.line)
                    return
                if error is not None:
                    tally.refuse(label_of(result.line), error)
                tally.outcomes[result.outcome] += 1
                last = result.line
                on_done(last)
    except SarvanOMError as error:
        tally.halted_by, tally.halted_at = error, label_of(last + 1)
