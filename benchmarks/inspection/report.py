"""The table: what was measured, beside what must be reached."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table

from benchmarks.inspection import goals
from benchmarks.inspection.corpus import Half, Sample
from benchmarks.inspection.encodings import ENCODINGS
from benchmarks.inspection.measures import (
    Rate,
    body_microseconds,
    first_and_best_milliseconds,
    rate,
    throughput,
)
from benchmarks.inspection.pathological import pathological_texts
from benchmarks.report import console
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.security.inspection.verdicts import Family
from sarvanom.shared.models.profiles import Profile

_PROFILES: Final = (Profile.STRICT, Profile.FREE)


class Report:
    """Measures, prints, and remembers what missed its goal."""

    def __init__(
        self, inspector: Inspector, corpus: Sequence[Sample], honest: Sequence[Sample], *, with_held_back: bool
    ) -> None:
        self._inspector = inspector
        self._corpus = corpus
        self._honest = honest
        self._halves = tuple(Half) if with_held_back else (Half.DEVELOPMENT,)
        self._out = console()
        self.missed: list[str] = []

    def print_all(self) -> None:
        """Print every table, the costs last: by then all automata have been at work."""
        self._print_sources()
        self._print_detection()
        self._print_false_positives()
        self._print_encodings()
        self._print_languages()
        self._print_costs()
        self._print_pathological()
        self._out.print(f"missed: {', '.join(self.missed)}" if self.missed else "every goal is reached", markup=False)

    def _print_sources(self) -> None:
        table = _table("sources", "kind", "group", "source", "texts")
        for samples in (self._corpus, self._honest):
            counted = Counter(
                ("attack" if sample.is_attack else "honest", sample.group, sample.source) for sample in samples
            )
            for row, number in sorted(counted.items()):
                table.add_row(*row, str(number))
        self._out.print(table)

    def _print_detection(self) -> None:
        table = _table("detection, % of attacks", "family", "profile", *self._halves, "goal")
        for (family, profile), goal in goals.DETECTED.items():
            rates = [self._rate(self._attacks(family, half), profile) for half in self._halves]
            for half, found in zip(self._halves, rates, strict=True):
                self._judge(f"{family} {profile} {half}", found.percent >= goal)
            table.add_row(family, profile, *map(_shown, rates), f">= {goal:g}")
        self._out.print(table)

    def _print_false_positives(self) -> None:
        table = _table("false positives, % of honest texts", "group", "profile", *self._halves, "goal")
        samples = [sample for sample in (*self._corpus, *self._honest) if not sample.is_attack]
        groups = sorted({sample.group for sample in samples if not sample.group.startswith("language ")})
        for group in groups:
            for profile in _PROFILES:
                goal = goals.FALSE_POSITIVES.get((group, profile))
                halves = [[s for s in samples if (s.group, s.half) == (group, half)] for half in self._halves]
                rates = [self._rate(half, profile) for half in halves]
                for half, found in zip(self._halves, rates, strict=True):
                    self._judge(f"{group} {profile} {half}", goal is None or found.percent <= goal)
                table.add_row(group, profile, *map(_shown, rates), "" if goal is None else f"<= {goal:g}")
        self._out.print(table)

    def _print_encodings(self) -> None:
        columns = [(family, profile) for family in Family for profile in _PROFILES]
        table = _table(
            f"detection by encoding, %; at most {goals.ENCODED_LOSS:g} points under plain",
            "encoding",
            *(f"{family} {profile}" for family, profile in columns),
        )
        plain: dict[tuple[Family, Profile], float] = {}
        for name, encode in ENCODINGS.items():
            cells = []
            for family, profile in columns:
                texts = [encode(s.text) for half in self._halves for s in self._attacks(family, half)]
                percent = rate(self._inspector, texts, profile).percent
                plain.setdefault((family, profile), percent)
                is_kept = percent >= plain[family, profile] - goals.ENCODED_LOSS
                self._judge(f"{name} {family} {profile}", is_kept)
                cells.append(f"{percent:.1f}")
            table.add_row(name, *cells)
        self._out.print(table)

    def _print_languages(self) -> None:
        title = f"false positives by language, %; goal <= {goals.LANGUAGE:g}"
        table = _table(title, "language", *_PROFILES)
        names = dict.fromkeys(sample.group for sample in self._honest if sample.group.startswith("language "))
        for name in names:
            rates = [self._rate([s for s in self._honest if s.group == name], profile) for profile in _PROFILES]
            for profile, found in zip(_PROFILES, rates, strict=True):
                self._judge(f"{name} {profile}", found.percent <= goals.LANGUAGE)
            table.add_row(name.removeprefix("language "), *map(_shown, rates))
        self._out.print(table)

    def _print_costs(self) -> None:
        table = _table("processor time", "what", "measured", "goal")
        for group in ("prose", "code"):
            texts = [sample.text for sample in self._corpus if sample.group == group]
            for profile in _PROFILES:
                speed = throughput(self._inspector, texts, profile)
                self._judge(f"throughput {group} {profile}", speed >= goals.MEGABYTES_PER_SECOND)
                goal = f">= {goals.MEGABYTES_PER_SECOND:g} MB/s"
                table.add_row(f"values of 4 KB of {group}, {profile}", f"{speed:.1f} MB/s", goal)
        taken = body_microseconds(self._inspector)
        self._judge("body", taken <= goals.BODY_US)
        table.add_row("a body of 13 texts, parsed", f"{taken:.0f} µs", f"<= {goals.BODY_US:g} µs")
        self._out.print(table)

    def _print_pathological(self) -> None:
        headings = [f"{profile} {when}" for profile in _PROFILES for when in ("first", "later")]
        title = f"values of 256 KiB, processor ms; goal <= {goals.PATHOLOGICAL_MS:g}"
        table = _table(title, "value", *headings)
        for name, text in pathological_texts().items():
            taken = [
                milliseconds
                for profile in _PROFILES
                for milliseconds in first_and_best_milliseconds(self._inspector, text, profile)
            ]
            self._judge(name, max(taken) <= goals.PATHOLOGICAL_MS)
            table.add_row(name, *(f"{milliseconds:.1f}" for milliseconds in taken))
        self._out.print(table)

    def _attacks(self, family: Family, half: Half) -> list[Sample]:
        return [s for s in self._corpus if s.is_attack and s.group == family and s.half is half]

    def _rate(self, samples: Iterable[Sample], profile: Profile) -> Rate:
        return rate(self._inspector, (sample.text for sample in samples), profile)

    def _judge(self, name: str, is_reached: bool) -> None:  # noqa: FBT001
        if not is_reached:
            self.missed.append(name)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    return table


def _shown(found: Rate) -> str:
    return f"{found.percent:.2f} ({found.hits} of {found.total})" if found.total else ""
