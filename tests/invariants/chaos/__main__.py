"""Makes and checks a history: `python -m tests.invariants.chaos --seconds 60 --writers 64 --processes 4 --seed 7`."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.invariants.chaos.real_cluster import make_real_history
from tests.invariants.chaos.run import Options
from tests.invariants.checker import check
from tests.invariants.history import write_history


def main() -> int:
    """Run as the arguments say; return 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.invariants.chaos")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--history", type=Path, help="write the history to this file")
    given = parser.parse_args()
    say(f"seed {given.seed}")
    options = Options(seed=given.seed, seconds=given.seconds, writers=given.writers)
    with tempfile.TemporaryDirectory() as folder:
        record = make_real_history(options, given.processes, Path(folder))
    if given.history:
        write_history(given.history, record.events)
    say(str(record))
    wrong = [*record.surprises, *map(str, check(record.events))]
    for line in wrong:
        say(line)
    return 1 if wrong else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
