"""Patterns as automata: which of them a value has somewhere in it, found in time linear to its length."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import re2

from sarvanom.security.inspection.verdicts import Family
from sarvanom.shared.models.profiles import Profile

_MEMORY: Final = 64 * 2**20
"""What one automaton may take at most; it is built as it is needed, and begun anew when it is full."""
_PRINTABLE: Final = bytes(0x20 + byte % 0x5F for byte in range(256)).lower()
_WARMING_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns that share an automaton, by their names, and what a value must have for any of them to be there."""

    family: Family
    trigger: str
    patterns: Mapping[str, str]


class PatternSet:
    """The groups of one profile."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._triggers = compile_set([group.trigger for group in groups])
        self._groups = [
            (group.family, tuple(group.patterns), compile_set(list(group.patterns.values()))) for group in groups
        ]

    def search(self, text: bytes) -> tuple[Family, tuple[str, ...]] | None:
        """Return the family of the first group that is found in normalised text, and the patterns' names."""
        for index in sorted(match(self._triggers, text)):
            family, names, automaton = self._groups[index]
            if found := match(automaton, text):
                return family, tuple(names[number] for number in sorted(found))
        return None

    def warm_up(self) -> None:
        """Search random characters, so that most of the automata is built before a value has to wait for it."""
        text = hashlib.shake_256(b"").digest(_WARMING_BYTES).translate(_PRINTABLE)
        match(self._triggers, text)
        for _, _, automaton in self._groups:
            match(automaton, text)


@cache
def load_patterns(profile: Profile) -> PatternSet:
    """Return the patterns of a profile as `patterns.toml` has them: strict values are searched for free ones too.

    They are the same object for everyone, and ready: building them takes a tenth of a second.
    """
    data = tomllib.loads((files(__package__ or "") / "patterns.toml").read_text())
    expand = _Fragments(data["fragments"]).expand
    profiles = (Profile.FREE, Profile.STRICT) if profile is Profile.STRICT else (profile,)
    groups = [
        Group(
            Family(group["family"]),
            expand(group["trigger"]),
            {f"{name}.{rule}": expand(expression) for rule, expression in _expressions(group, profiles)},
        )
        for name, group in data["groups"].items()
    ]
    patterns = PatternSet([group for group in groups if group.patterns])
    patterns.warm_up()
    return patterns


def _expressions(group: Mapping[str, Any], profiles: Sequence[Profile]) -> Iterator[tuple[str, str]]:
    for profile in profiles:
        yield from group.get(profile, {}).items()


class _Fragments:
    """What stands for `(?&name)`; a fragment may hold those before it. White space means nothing."""

    def __init__(self, fragments: Mapping[str, str]) -> None:
        self._fragments: dict[str, str] = {}
        for name, expression in fragments.items():
            self._fragments[f"(?&{name})"] = f"(?:{self.expand(expression)})"

    def expand(self, expression: str) -> str:
        expanded = "".join(expression.split())
        for name, fragment in self._fragments.items():
            expanded = expanded.replace(name, fragment)
        return expanded


def compile_set(expressions: Sequence[str]) -> re2.Set:
    """Return expressions as one automaton, which is searched for anywhere in a text; raises `re2.error`."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.dot_nl = True
    options.log_errors = False
    automaton = re2.Set.SearchSet(options)
    for expression in expressions:
        automaton.Add(expression.encode("ascii"))
    automaton.Compile()
    return automaton


def match(automaton: re2.Set, text: bytes) -> list[int]:
    return cast("list[int] | None", automaton.Match(text)) or []
