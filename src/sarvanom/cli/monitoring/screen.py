"""A snapshot as lines of a terminal, however many and however wide they may be."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from sarvanom.cli.clients import one_line
from sarvanom.cli.monitoring.facts import facts_of
from sarvanom.cli.monitoring.figures import per_second, percent, seconds, size, whole
from sarvanom.cli.monitoring.monitor import Problem, Snapshot
from sarvanom.cli.monitoring.requests import QUANTILES, ServiceFigures, Traffic, busiest_routes, figures_of
from sarvanom.cli.monitoring.tables import Column, draw_table, fill_lines

_WRONG: Final = "bold red"
_LABEL: Final = 10
_SHARE, _NUMBER, _SIZE = 5, 6, 7
"""How wide columns are at least, so that they stand still while their numbers change."""
_MOST_ROUTES: Final = 50
_MOST_WORDS: Final = 3
"""How many lines a problem may take."""
_ESTIMATES: Final = "~ is an estimate, from the buckets of a histogram."
_MIXED: Final = "several processes take turns at this address, so its rates are wrong; name one of them, not a balancer"


class Screen:
    """Draws a snapshot; what does not fit is left out, the least important first. Names are never read as markup."""

    def __init__(self, snapshot: Snapshot, *, is_live: bool) -> None:
        self._snapshot = snapshot
        self._is_live = is_live

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines: on a live screen as many as it has, however it is wrapped."""
        yield from self.lines(options.max_width, console.height if self._is_live else None)

    def lines(self, width: int, height: int | None = None) -> list[Text]:
        """Return lines that are no wider than `width`, and no more than `height` if there is one."""
        services = self._services(width)
        facts = [line for label, facts in self._facts() for line in fill_lines(label, facts, width)]
        parts = [[self._title(width)], services, facts]
        room = _MOST_ROUTES if height is None else height - sum(map(len, parts)) - 2
        routes = self._routes(width, room)
        if len(routes) > 1:
            parts.append([*routes, _cut(Text(_ESTIMATES, "dim"), width)])
        has_gaps = height is None or height - sum(map(len, parts)) >= len(parts) - 1
        return list(_joined(parts, has_gaps=has_gaps))[:height]

    def _title(self, width: int) -> Text:
        snapshot = self._snapshot
        line = Text("SarvanOM", "bold")
        line.append(f"  {snapshot.at}", "not bold")
        if snapshot.seconds is None:
            line.append("  rates come with the next look", "not bold dim")
        else:
            line.append(f"  rates over {snapshot.seconds:.1f} s", "not bold dim")
        if self._is_live:
            line.append("  Ctrl-C ends", "not bold dim")
        return _cut(line, width)

    def _services(self, width: int) -> list[Text]:
        observed = (self._snapshot.gateway, self._snapshot.crud)
        names = Column("", 0, [(one.service, "" if one.readings else _WRONG) for one in observed])
        figures = [figures_of(one) for one in observed]
        lines = draw_table(names, _service_columns(figures), width)
        for one in observed:
            said = [_words(problem) for problem in one.problems]
            if one.are_mixed:
                said.append(f"{one.service}: {_MIXED}")
            for text in said:
                words = wrap(text, width, max_lines=_MOST_WORDS, placeholder="…")
                lines += [_cut(Text(line, _WRONG), width) for line in words]
        return lines

    def _facts(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        for label, facts in facts_of(self._snapshot):
            yield label.ljust(_LABEL), [(fact.text, _WRONG if fact.is_wrong else "") for fact in facts]

    def _routes(self, width: int, most: int) -> list[Text]:
        """Return the busiest routes of the gateway, as callers know them; those of crud while the gateway is away."""
        observed = self._snapshot.gateway if self._snapshot.gateway.readings else self._snapshot.crud
        routes = busiest_routes(observed)[: max(0, most)]
        names = Column(f"routes of {observed.service}", 0, [(one_line(name), "") for name, _ in routes])
        return draw_table(names, _traffic_columns([traffic for _, traffic in routes]), width)


def _service_columns(figures: Sequence[ServiceFigures]) -> list[Column]:
    rate, *others = _traffic_columns([one.traffic for one in figures])
    return [
        rate,
        Column("in flight", 5, [(whole(one.in_flight), "") for one in figures]),
        *others,
        Column("CPU", 6, [(percent(one.cpu), "") for one in figures], _SHARE),
        Column("memory", 7, [(size(one.memory), "") for one in figures], _SIZE),
    ]


def _traffic_columns(traffics: Sequence[Traffic]) -> list[Column]:
    quantiles = [
        Column(f"~{name}", rank, [(seconds(one.latencies[number]), "") for one in traffics], _NUMBER)
        for number, (name, rank) in enumerate(zip(QUANTILES, (8, 3, 4), strict=True))
    ]
    server_errors = [(percent(one.server_errors), _WRONG if one.server_errors else "") for one in traffics]
    client_errors = [(percent(one.client_errors), "yellow" if one.client_errors else "") for one in traffics]
    return [
        Column("req/s", 1, [(per_second(one.rate), "") for one in traffics], _NUMBER),
        Column("5xx", 2, server_errors, _SHARE),
        Column("4xx", 9, client_errors, _SHARE),
        *quantiles,
    ]


def _words(problem: Problem) -> str:
    at = f" at {problem.url}" if problem.url else ""
    state = "may not be read" if problem.is_refusal else f"is away since {problem.since}"
    return one_line(f"{problem.service}{at} {state}: {problem.text}")


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _joined(parts: Sequence[Sequence[Text]], *, has_gaps: bool) -> Iterator[Text]:
    for number, part in enumerate(parts):
        if number and has_gaps:
            yield Text()
        yield from part
