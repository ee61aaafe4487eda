"""The tables of the parts; one that was not measured is left out."""

from rich.console import Console
from rich.table import Table

from benchmarks.budgets import ON_POSTGRES
from benchmarks.parts.base import POSTGRES, SQLITE
from benchmarks.ratios import ratios
from benchmarks.report import by_role, number
from benchmarks.results import Results, middle
from benchmarks.scenarios import CREATE, GET

TEXTS = ("database", "store", "observed", "case", "CPU µs per line and process")


def print_parts(out: Console, results: Results, rows: int) -> None:
    """Print what there is."""
    for table in (
        _large(results, rows),
        _bulk(results),
        _fanout(results),
        _limits(results),
        _limiter(results),
        _edge(results),
        _observing(results),
    ):
        if table.row_count:
            out.print(table)


def _large(results: Results, rows: int) -> Table:
    table = _table(
        f"a table of {rows:,} rows over one of a thousand, crud alone: CPU µs per request (median)",
        *("database", "case", "1,000", f"{rows:,}", "x"),
    )
    for database in (SQLITE, POSTGRES):
        for each in ratios(results, database):
            cells = number(each.small_us, 0), number(each.large_us, 0), number(each.ratio, 2)
            table.add_row(database, each.case, *cells)
        table.add_section()
    return table


def _bulk(results: Results) -> Table:
    table = _table("bulk import to crud", "database", "lines", "s", "lines/s", "CPU µs per line and process", "sum")
    for each in results.bulk:
        cells = number(each.lines, 0), number(each.seconds, 1), number(each.per_second, 0)
        table.add_row(each.database, *cells, by_role(each.cpu_us), number(sum(each.cpu_us.values()), 0))
    return table


def _fanout(results: Results) -> Table:
    table = _table(
        "from a write's request to the watchers of another crud process",
        *("watchers", "writes", "p50 ms", "p99 ms", "CPU µs per event"),
    )
    for each in results.fanout:
        cells = number(each.p50_ms, 2), number(each.p99_ms, 2), number(each.cpu_us, 0)
        table.add_row(number(each.watchers, 0), number(each.writes, 0), *cells)
    return table


def _limits(results: Results) -> Table:
    """Set the whole path of ours against pgbench: of CPU, the server's part."""
    table = _table(
        "pgbench as the limit (median)",
        *("case", "pgbench/s", "ours/s", "ours x", "pgbench: server µs", "ours: server µs", "ours x"),
    )
    for scenario in (GET, CREATE):
        limits = [each for each in results.limits if each.scenario == scenario.name]
        ours = results.of(ON_POSTGRES, scenario.name)
        rates = middle(each.per_second for each in limits), middle(each.per_second for each in ours)
        costs = middle(each.cpu_us for each in limits), middle(each.cpu_us["postgres"] for each in ours)
        if limits:
            rate_cells = *(number(rate, 0) for rate in rates), number(_ratio(*rates), 2)
            cost_cells = *(number(cost, 0) for cost in costs), number(_ratio(*costs), 2)
            table.add_row(scenario.name, *rate_cells, *cost_cells)
    return table


def _limiter(results: Results) -> Table:
    table = _table(
        "limits: CPU µs added to a request (median)", *("store", "case", "at once", "gateway µs", "valkey µs")
    )
    for key in dict.fromkeys((each.store, each.case, each.at_once) for each in results.limiter):
        rounds = [each for each in results.limiter if (each.store, each.case, each.at_once) == key]
        costs = middle(each.cpu_us for each in rounds), middle(each.server_us for each in rounds)
        table.add_row(key[0], key[1], number(key[2], 0), *(number(cost, 1) for cost in costs))
    return table


def _edge(results: Results) -> Table:
    table = _table("edge: CPU µs that the guards add to a request (median)", "case", "gateway", "crud", "together")
    for case in dict.fromkeys(each.case for each in results.edge):
        rounds = [each for each in results.edge if each.case == case]
        costs = (
            middle(each.gateway_us for each in rounds),
            middle(each.crud_us for each in rounds),
            middle(each.total_us for each in rounds),
        )
        table.add_row(case, *(number(cost, 1) for cost in costs))
    return table


def _observing(results: Results) -> Table:
    title = "observing: CPU µs that logs, metrics and traces add to a request (median)"
    table = _table(title, "observed", "case", "gateway", "crud", "together")
    for key in dict.fromkeys((each.what, each.case) for each in results.observing):
        rounds = [each for each in results.observing if (each.what, each.case) == key]
        costs = (
            middle(each.gateway_us for each in rounds),
            middle(each.crud_us for each in rounds),
            middle(each.total_us for each in rounds),
        )
        table.add_row(*key, *(number(cost, 1) for cost in costs))
    return table


def _ratio(limit: float | None, ours: float | None) -> float | None:
    return ours / limit if limit and ours else None


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in TEXTS else "right", overflow="fold")
    return table
