"""What happens, as values: the code tells of it once, and logs, metrics and traces listen.

To add an observation, write its class here, and a line where it happens; `observability/` says what becomes of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sarvanom.shared.trace_context import RequestNotes, Span


class Observation:
    """Something that happened, or a state that somebody asked for."""

    __slots__ = ()
    listeners: ClassVar[tuple[Callable[[Any], object], ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.listeners = ()


def tell(observation: Observation) -> None:
    """Tell all who listen to its kind, at once and in this thread; they do not raise."""
    for listener in observation.listeners:
        listener(observation)


def listen[O: Observation](kind: type[O], listener: Callable[[O], object]) -> Callable[[], None]:
    """Have a listener told of each observation of a kind; return what ends that."""
    kind.listeners = (*kind.listeners, listener)

    def end() -> None:
        kind.listeners = tuple(one for one in kind.listeners if one is not listener)

    return end


type Report = Callable[[], Iterable[Observation]]

_reports: list[Report] = []


def offer(report: Report) -> Callable[[], None]:
    """Offer to tell of a state whenever it is asked for; return what ends that."""
    _reports.append(report)

    def end() -> None:
        _reports[:] = [one for one in _reports if one is not report]

    return end


def ask() -> None:
    """Have every state told of."""
    for report in _reports:
        for observation in report():
            tell(observation)


def observed[O: Observation](kind: type[O]) -> list[O]:
    """Return the states of a kind, as those who offer to tell of them see them now."""
    return [observation for report in _reports for observation in report() if isinstance(observation, kind)]


type Reason = Literal["unavailable", "failed", "timeout", "answer", "failover"]
"""Why a request is sent again."""


type Credential = Literal["api_key", "token", "none"]
"""What a caller proves with who it is."""


type DatabaseSystem = Literal["sqlite", "postgresql"]
type CacheOutcome = Literal["hit", "miss"]
type CommitOutcome = Literal["committed", "failed"]


@dataclass(slots=True)
class RequestServed(Observation):
    """A request has been answered, or broken off; `seconds` to its last byte, of a watch to its first.

    `route` is the template that matched; which crud answered, and what a read of the cache came to, is in the notes.
    """

    method: str
    route: str
    status: int
    seconds: float
    size: int
    is_aborted: bool
    client: str | None
    principal: str
    notes: RequestNotes
    span: Span | None


@dataclass(slots=True)
class RequestsUnderWay(Observation):
    """How many requests a process serves."""

    requests: int


@dataclass(slots=True)
class RequestRefused(Observation):
    """What came is no request that could be served, so that no route has seen it; `code` is that of the error."""

    code: str
    status: int
    reason: str
    request_id: str


@dataclass(slots=True)
class ConnectionsCounted(Observation):
    """How many connections are open."""

    connections: int


@dataclass(slots=True)
class ConnectionsTurnedAway(Observation):
    """Connections were turned away since the last look, because so many were open."""

    count: int
    open: int


@dataclass(slots=True)
class ErrorUnforeseen(Observation):
    """An exception that nobody foresaw, and in the midst of what."""

    error: Exception
    work: str


@dataclass(slots=True)
class LoopLagged(Observation):
    """How much later than asked for the event loop ran a timer."""

    seconds: float


@dataclass(slots=True)
class UpstreamAttempted(Observation):
    """A request was sent to an instance of crud; `outcome` is a class of statuses, how it failed, or `cancelled`."""

    instance: str
    method: str
    status: int
    outcome: str
    seconds: float
    span: Span | None


@dataclass(slots=True)
class UpstreamRetried(Observation):
    """A request is sent again."""

    reason: Reason


@dataclass(slots=True)
class UpstreamState(Observation):
    """How an instance of crud is doing."""

    instance: str
    is_healthy: bool
    under_way: int


@dataclass(slots=True)
class AuthenticationDecided(Observation):
    """Whether it was proven who asks."""

    credential: Credential
    outcome: Literal["proven", "refused", "unavailable"]


@dataclass(slots=True)
class LimitDecided(Observation):
    """Whether the limits admitted a request; `quota` is the one that refused it, or `none`.

    `route_class` is what was asked for, or `strangers` for a key that nobody was asked about.
    """

    route_class: str
    decision: Literal["admitted", "refused"]
    quota: str


@dataclass(slots=True)
class LimitState(Observation):
    """How often Valkey could not be asked since the start."""

    decided_alone: int
    outages: int


@dataclass(slots=True)
class ContentFound(Observation):
    """A text that looks like an attack, and what was done; nothing of the text.

    `pointer` says where it stood in the request, `sha256` and `length`, in characters, which text it was.
    """

    family: str
    rules: tuple[str, ...]
    pointer: str
    profile: str
    action: str
    sha256: str
    length: int


@dataclass(slots=True)
class LeaseState(Observation):
    """What a gateway remembers of one kind, and how often that was enough since the start."""

    kind: str
    entries: int
    hits: int
    misses: int


@dataclass(slots=True)
class WritesCommitted(Observation):
    """Writes shared a transaction; told in the thread that writes."""

    writes: int
    seconds: float
    outcome: CommitOutcome


@dataclass(slots=True)
class StatementRun(Observation):
    """A statement was run for a request that is traced; told of nothing else. `text` holds placeholders, no values.

    `summary` says in a few words what it does, if the text does not; `writes` is how many callers wait for.
    """

    system: DatabaseSystem
    text: str
    summary: str
    writes: int
    error: str | None
    span: Span


@dataclass(slots=True)
class CacheRead(Observation):
    """An entry of the cache was read."""

    outcome: CacheOutcome


@dataclass(slots=True)
class CacheMeasured(Observation):
    """How large the cache is."""

    entries: int
    bytes: int


@dataclass(slots=True)
class StoreMeasured(Observation):
    """Whether the database answered, and from which revision up to which there are changes."""

    is_available: bool
    revision: int = 0
    floor: int = 0


@dataclass(slots=True)
class WatchState(Observation):
    """How many watch, and how many revisions the slowest of them is behind."""

    subscribers: int
    lag: int


@dataclass(slots=True)
class PoolState(Observation):
    """What becomes of the connections for reads."""

    size: int
    in_use: int
    idle: int
    waiting: int


@dataclass(slots=True)
class PoolWaited(Observation):
    """A read had to wait for a connection."""

    seconds: float
    outcome: Literal["served", "timeout"]


def kinds() -> Iterator[type[Observation]]:
    """Yield every kind of observation."""
    # A dataclass with slots leaves a twin of the same name behind, which nobody can tell of.
    yield from {kind.__name__: kind for kind in Observation.__subclasses__()}.values()
