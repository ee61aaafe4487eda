"""What a store tells of what is done for a request: statements if its trace is recorded, and reads of the cache."""

from collections.abc import Iterator
from contextlib import contextmanager

from sarvanom.shared.errors import InternalError, SarvanOMError
from sarvanom.shared.observations import CacheOutcome, CacheRead, DatabaseSystem, StatementRun, tell
from sarvanom.shared.trace_context import Span, current_notes


@contextmanager
def telling(system: DatabaseSystem, text: str, span: Span, *, summary: str = "", writes: int = 1) -> Iterator[None]:
    """Tell of the statement that is run in this block; that a write is refused for what it asks is no error of it."""
    error: str | None = None
    try:
        yield
    except BaseException as raised:
        if not isinstance(raised, SarvanOMError) or raised.status >= InternalError.status:
            error = type(raised).__name__
        raise
    finally:
        tell(StatementRun(system, text, summary, writes, error, span))


def note_cache_read(*, is_hit: bool) -> None:
    """Tell what a read of the cache has come to, and note it for the request that it is done for."""
    outcome: CacheOutcome = "hit" if is_hit else "miss"
    notes = current_notes.get()
    if notes is not None:
        notes.cache = outcome
    tell(CacheRead(outcome))
