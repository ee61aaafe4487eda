"""What is asked of every system."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request, and the script in `benchmarks/wrk` that makes it."""

    name: str
    script: str


GET = Scenario("get-by-id", "get.lua")
LIST = Scenario("list-50", "list.lua")
REPLACE = Scenario("replace", "replace.lua")
CREATE = Scenario("create", "create.lua")

# Creating comes last: it makes the table grow by as much as a system is fast.
SCENARIOS = (GET, LIST, REPLACE, CREATE)
