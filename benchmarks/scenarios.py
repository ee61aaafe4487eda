"""What is asked of every system."""

from dataclasses import dataclass

SEEDED = 1000
"""How many users each system has before the load."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request, and the script in `benchmarks/wrk` that makes it."""

    name: str
    script: str
    listing: str | None = None
    """The page to list; left out, the system's first."""
    rows: int = SEEDED
    """How many users there are to choose from."""


GET = Scenario("get-by-id", "get.lua")
LIST = Scenario("list-50", "list.lua")
REPLACE = Scenario("replace", "replace.lua")
CREATE = Scenario("create", "create.lua")

# Creating comes last: it makes the table grow by as much as a system is fast.
SCENARIOS = (GET, LIST, REPLACE, CREATE)
