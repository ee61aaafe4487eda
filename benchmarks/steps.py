"""Steps of a run: each is announced, and one that fails is noted and does not end the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from benchmarks.errors import MeasurementFailed
from benchmarks.results import Results

type Say = Callable[[str], None]


class Steps:
    """Says what is being done, and notes under a name what could not be measured."""

    def __init__(self, results: Results, say: Say) -> None:
        """Take where failures go, and whom to tell of progress."""
        self._results = results
        self.say = say

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Run the block; its failure is noted under the name."""
        self.say(f"{what} {name}")
        try:
            yield
        except (MeasurementFailed, httpx.HTTPError, OSError) as error:
            self._results.failures[name] = f"{what}: {str(error) or repr(error)}"
            self.say(f"FAILED {name}: {error}")
