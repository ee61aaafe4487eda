"""Invariants 1, 2, 3 and 7 on PostgreSQL: four crud processes, 64 writers, a minute of faults, one history."""

import os
import random
from pathlib import Path

import pytest

from tests.invariants.chaos.real_cluster import make_real_history
from tests.invariants.chaos.run import Options
from tests.invariants.checker import check
from tests.invariants.history import write_history

FAULTS = ("crud killed", "backend killed", "postgres restarted", "postgres killed")
WRITES = 2500
SHOWN = 20


def test_a_minute_of_faults_breaks_no_invariant(tmp_path: Path) -> None:
    seed = int(os.environ.get("SARVANOM_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    record = make_real_history(Options(seed=seed, least_writes=WRITES), 4, tmp_path)
    print(record)  # noqa: T201

    violations = check(record.events)
    if violations:
        write_history(tmp_path / "history.jsonl", record.events)
        shown = "\n".join(map(str, violations[:SHOWN]))
        pytest.fail(f"{len(violations)} violations (seed {seed}); {tmp_path / 'history.jsonl'} has it all:\n{shown}")
    assert not record.surprises, "\n".join(record.surprises[:SHOWN])
    missing = [fault for fault in FAULTS if not record.tally[fault]]
    assert not missing, f"did not happen: {missing}"
    assert record.tally["writes ok"] >= WRITES
    assert record.tally["writes refused"] > 50
    assert record.tally["replays"] > 50
    assert record.tally["tries cut off"] > 5
    assert record.tally["watchers cut off"] > 1
    assert record.tally["watchers left"] > 10
    assert record.tally["reads"] > 500
