"""Metrics: what listens to observations and counts them. The names and meanings are in docs/metrics.md."""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from sarvanom.observability.cells import POWERS, SECONDS, Counted, Counter, Distribution, Family, Gauge, Histogram
from sarvanom.observability.request_metrics import RequestMetrics
from sarvanom.shared.observations import (
    AuthenticationDecided,
    CacheMeasured,
    CacheRead,
    ConnectionsCounted,
    ConnectionsTurnedAway,
    ContentFound,
    ErrorUnforeseen,
    LeaseState,
    LimitDecided,
    LimitState,
    LoopLagged,
    Observation,
    PoolState,
    PoolWaited,
    RequestRefused,
    RequestServed,
    RequestsUnderWay,
    StoreMeasured,
    UpstreamAttempted,
    UpstreamRetried,
    UpstreamState,
    WatchState,
    WritesCommitted,
    ask,
    listen,
)


class Metrics:
    """The metrics of one process of a service: families, and what counts into them while it listens."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._families: list[Family[Any]] = []
        self._states: list[Gauge] = []
        self._passing: list[tuple[Family[Any], Gauge]] = []
        """What is counted of things that come and go, by their first label, and the state that says which are there."""
        self._listeners: list[tuple[type[Observation], Callable[[Any], object]]] = []
        self._ends: list[Callable[[], None]] = []
        self._declare_both()
        if service == "gateway":
            self._declare_gateway()
        else:
            self._declare_crud()

    def listen(self) -> None:
        """Begin to count."""
        self._ends = [listen(kind, listener) for kind, listener in self._listeners]

    def stop(self) -> None:
        """Count no more."""
        while self._ends:
            self._ends.pop()()

    def families(self) -> Iterator[Family[Any]]:
        """Ask for every state, and yield every family."""
        for state in self._states:
            state.cells.clear()
        ask()
        for family, present in self._passing:
            family.forget_gone({values[0] for values in present.cells})
        yield from self._families

    @property
    def all(self) -> Sequence[Family[Any]]:
        """Every family, as it is."""
        return self._families

    @property
    def names(self) -> list[str]:
        """The names of all metrics, as they are exposed."""
        return [f"{family.name}_total" if family.type == "counter" else family.name for family in self._families]

    def add[F: Family[Any]](self, family: F) -> F:
        """Take a family."""
        self._families.append(family)
        return family

    def _hear[O: Observation](self, kind: type[O], listener: Callable[[O], object]) -> None:
        self._listeners.append((kind, listener))

    def _declare_both(self) -> None:
        requests = RequestMetrics()
        for family in requests.families:
            self.add(family)
        self._hear(RequestServed, requests.count)
        state, count, spread = self._state, self._count, self._spread
        state(RequestsUnderWay, "sarvanom_http_requests_in_progress", "Requests under way", "requests")
        self._level(ConnectionsCounted, "sarvanom_http_connections", "Connections that are open", "connections")
        away = "sarvanom_http_connections_refused"
        count(ConnectionsTurnedAway, away, "Connections turned away because there were too many", by="count")
        refused = "What came and could not be served as a request"
        count(RequestRefused, "sarvanom_http_requests_refused", refused, ("code",))
        count(ErrorUnforeseen, "sarvanom_unhandled_errors", "Errors that nobody foresaw")
        spread(LoopLagged, "sarvanom_event_loop_lag_seconds", "How late the event loop ran a timer", "seconds")

    def _declare_gateway(self) -> None:
        state, count, total, spread = self._state, self._count, self._total, self._spread
        attempt = ("instance", "outcome")
        attempts = spread(
            UpstreamAttempted,
            "sarvanom_upstream_attempt_duration_seconds",
            "How long instances of crud took",
            "seconds",
            attempt,
            counted=("sarvanom_upstream_attempts", "Requests sent to an instance of crud"),
        )
        count(UpstreamRetried, "sarvanom_upstream_retries", "Requests sent again", ("reason",))
        instance = ("instance",)
        healthy = state(UpstreamState, "sarvanom_upstream_healthy", "1 if it is well, else 0", "is_healthy", instance)
        self._passing.append((attempts, healthy))
        state(
            UpstreamState,
            "sarvanom_upstream_requests_in_progress",
            "Requests and streams under way to an instance",
            "under_way",
            instance,
        )
        proof = ("credential", "outcome")
        count(AuthenticationDecided, "sarvanom_authentications", "How callers proved who they are", proof)
        decision = ("route_class", "decision", "quota")
        count(LimitDecided, "sarvanom_limit_decisions", "What the limits decided", decision)
        total(LimitState, "sarvanom_limit_decided_alone", "Decisions made without Valkey", "decided_alone")
        total(LimitState, "sarvanom_limit_outages", "Times that Valkey was lost", "outages")
        finding = ("family", "profile", "action")
        count(ContentFound, "sarvanom_inspection_findings", "Texts that look like an attack", finding)
        state(LeaseState, "sarvanom_lease_entries", "Keys and sessions remembered", "entries", ("kind",))
        self._lookups()

    def _declare_crud(self) -> None:
        level, state, count, spread = self._level, self._state, self._count, self._spread
        level(StoreMeasured, "sarvanom_store_available", "1 if the database answered", "is_available")
        self._revisions()
        spread(
            WritesCommitted, "sarvanom_store_commit_writes", "Writes that shared a transaction", "writes", bounds=POWERS
        )
        commit = "sarvanom_store_commit_duration_seconds"
        spread(WritesCommitted, commit, "How long a transaction took", "seconds", ("outcome",))
        count(CacheRead, "sarvanom_cache_lookups", "Reads of the cache by key", ("outcome",))
        level(CacheMeasured, "sarvanom_cache_entries", "Entries that are not expired", "entries")
        level(CacheMeasured, "sarvanom_cache_bytes", "Bytes of their bodies", "bytes")
        state(WatchState, "sarvanom_watch_subscribers", "Watches that are open", "subscribers")
        state(WatchState, "sarvanom_watch_lag_revisions", "How far the slowest of them is behind", "lag")
        state(PoolState, "sarvanom_db_pool_size", "Connections that reads may have", "size")
        connections = self.add(Gauge("sarvanom_db_pool_connections", "Connections for reads", ("state",)))
        self._states.append(connections)

        def fill(pool: PoolState) -> None:
            connections.cell("in_use").value += pool.in_use
            connections.cell("idle").value += pool.idle

        self._hear(PoolState, fill)
        state(PoolState, "sarvanom_db_pool_waiting", "Reads that wait for a connection", "waiting")
        waited = "sarvanom_db_pool_wait_seconds"
        spread(PoolWaited, waited, "How long reads waited for a connection", "seconds", ("outcome",))

    def _revisions(self) -> None:
        """Keep the last revisions that are known while the database is away."""
        newest = self.add(Gauge("sarvanom_store_revision", "The newest revision"))
        floor = self.add(Gauge("sarvanom_store_revision_floor", "Changes up to it are compacted"))

        def fill(measured: StoreMeasured) -> None:
            if measured.is_available:
                newest.cell().value, floor.cell().value = measured.revision, measured.floor

        self._hear(StoreMeasured, fill)

    def _lookups(self) -> None:
        lookups = self.add(Counter("sarvanom_lease_lookups", "Lookups of keys and sessions", ("kind", "outcome")))

        def fill(lease: LeaseState) -> None:
            lookups.cell(lease.kind, "hit").value = lease.hits
            lookups.cell(lease.kind, "miss").value = lease.misses

        self._hear(LeaseState, fill)

    def _count(
        self, kind: type[Observation], name: str, meaning: str, labels: Sequence[str] = (), by: str | None = None
    ) -> None:
        """Count observations by their fields, each as one or as the value of a field."""
        family = self.add(Counter(name, meaning, labels))
        values_of, cells, cell = _values_of(labels), family.cells, family.cell
        if not labels:
            cell()  # what has not happened yet is 0, not unknown

        def count(observation: Any) -> None:
            values = values_of(observation)
            (cells.get(values) or cell(*values)).value += 1

        def add(observation: Any) -> None:
            cell(*values_of(observation)).value += getattr(observation, by or "")

        self._hear(kind, count if by is None else add)

    def _total(self, kind: type[Observation], name: str, meaning: str, value: str) -> None:
        """Expose what somebody else has counted."""
        cell = self.add(Counter(name, meaning)).cell()

        def fill(observation: Any) -> None:
            cell.value = getattr(observation, value)

        self._hear(kind, fill)

    def _level(self, kind: type[Observation], name: str, meaning: str, value: str) -> None:
        """Expose a field of the last observation."""
        family = self.add(Gauge(name, meaning))

        def fill(observation: Any) -> None:
            family.cell().value = float(getattr(observation, value))

        self._hear(kind, fill)

    def _state(self, kind: type[Observation], name: str, meaning: str, value: str, labels: Sequence[str] = ()) -> Gauge:
        """Expose a field of the states that are told of when they are asked for, added up where labels are the same."""
        family = self.add(Gauge(name, meaning, labels))
        self._states.append(family)
        values_of = _values_of(labels)

        def fill(observation: Any) -> None:
            family.cell(*values_of(observation)).value += float(getattr(observation, value))

        self._hear(kind, fill)
        return family

    def _spread(
        self,
        kind: type[Observation],
        name: str,
        meaning: str,
        value: str,
        labels: Sequence[str] = (),
        *,
        bounds: Sequence[float] = SECONDS,
        counted: tuple[str, str] | None = None,
    ) -> Histogram:
        """Expose how the values of a field are spread; with `counted` also a counter of them."""
        family = self.add(Histogram(name, meaning, labels, bounds))
        values_of, value_of, cells, cell = _values_of(labels), attrgetter(value), family.cells, family.cell

        def spread(observation: Any) -> None:
            values = values_of(observation)
            found: Distribution = cells.get(values) or cell(*values)
            found.add(value_of(observation))

        self._hear(kind, spread)
        if counted is not None:
            self.add(Counted(*counted, family))
        return family


def _values_of(labels: Sequence[str]) -> Callable[[Any], tuple[str, ...]]:
    if not labels:
        return lambda _: ()
    if len(labels) == 1:
        name = labels[0]
        return lambda observation: (getattr(observation, name),)
    getter: Callable[[Any], tuple[str, ...]] = attrgetter(*labels)
    return getter
