"""Families of metrics whose cells are plain numbers.

`prometheus_client` takes a lock for each increment, which costs ten times as much as the increment. Here a cell is
written by one thread, and read by another without harm: a number is replaced whole.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POWERS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Exemplar(NamedTuple):
    """A trace in which a value was seen, and when, in seconds since 1970."""

    trace_id: str
    value: float
    at: float


class Sample(NamedTuple):
    """One line of what is exposed: the end of its name, its labels, its value."""

    suffix: str
    labels: dict[str, str]
    value: float
    exemplar: Exemplar | None = None


class Number:
    """The cell of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Distribution:
    """The cell of a histogram."""

    __slots__ = ("_bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.sum = 0.0
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplar] = {}

    def add(self, value: float) -> int:
        """Count a value; return the index of its bucket."""
        index = bisect_left(self._bounds, value)
        self.counts[index] += 1
        self.sum += value
        return index

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def samples(self, labels: dict[str, str]) -> Iterator[Sample]:
        """Yield what is exposed of it."""
        total = 0
        for index, (bound, count) in enumerate(zip((*self._bounds, float("inf")), self.counts, strict=True)):
            total += count
            text = "+Inf" if bound == float("inf") else str(bound)
            yield Sample("_bucket", {**labels, "le": text}, total, self.exemplars.get(index))
        yield Sample("_sum", labels, self.sum)
        yield Sample("_count", labels, total)


class Family[C: Number | Distribution](ABC):
    """A metric, and its cells by the values of its labels."""

    type = ""

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.label_names = tuple(labels)
        self.cells: dict[Any, C] = {}
        self._gone: set[str] = set()

    def cell(self, *values: str) -> C:
        """Return the cell of these labels, the same each time."""
        found = self.cells.get(values)
        if found is None:
            found = self.cells[values] = self._make()
        return found

    def forget_gone(self, known: set[str]) -> None:
        """Forget the cells whose first label is not known, at the second time: their last values were read by then."""
        gone = {values[0] for values in self.cells} - known
        for values in [values for values in self.cells if values[0] in gone & self._gone]:
            del self.cells[values]
        self._gone = gone - self._gone

    def labels(self, values: tuple[str, ...]) -> dict[str, str]:
        """Return the labels of a cell."""
        return dict(zip(self.label_names, values, strict=True))

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Yield what is exposed."""

    @abstractmethod
    def _make(self) -> C: ...


class Counter(Family[Number]):
    """What only grows."""

    type = "counter"

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each cell."""
        for values, cell in list(self.cells.items()):
            yield Sample("_total", self.labels(values), cell.value)

    def _make(self) -> Number:
        return Number()


class Gauge(Family[Number]):
    """What goes up and down."""

    type = "gauge"

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each cell."""
        for values, cell in list(self.cells.items()):
            yield Sample("", self.labels(values), cell.value)

    def _make(self) -> Number:
        return Number()


class Histogram(Family[Distribution]):
    """How values are spread."""

    type = "histogram"

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS) -> None:
        super().__init__(name, meaning, labels)
        self._bounds = tuple(bounds)

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of each cell."""
        for values, cell in list(self.cells.items()):
            yield from cell.samples(self.labels(values))

    def _make(self) -> Distribution:
        return Distribution(self._bounds)


class Counted(Counter):
    """A counter of what a histogram has seen, which costs nothing to count."""

    def __init__(self, name: str, meaning: str, histogram: Histogram) -> None:
        super().__init__(name, meaning, histogram.label_names)
        self._histogram = histogram

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each cell of the histogram."""
        for values, cell in list(self._histogram.cells.items()):
            yield Sample("_total", self.labels(values), cell.count)
