"""Tables of plain text that leave columns out rather than cut a number off."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len
from rich.text import Text

_GAP: Final = 2
_LEAST_NAME: Final = 14
"""How narrow the first column may become before another one is left out."""


@dataclass(slots=True)
class Column:
    """A column: its title, its cells with their styles, and its rank: those of the highest are left out first."""

    title: str
    rank: int
    cells: list[tuple[str, str]] = field(default_factory=list)
    least: int = 0
    """How wide it is at least."""

    @property
    def width(self) -> int:
        """How many cells of a terminal it takes."""
        return max(self.least, *(cell_len(text) for text in (self.title, *(text for text, _ in self.cells))))


def draw_table(names: Column, others: Sequence[Column], width: int) -> list[Text]:
    """Return the title and the rows of a table that is no wider than `width`, its names to the left."""
    kept = list(others)
    while kept and min(names.width, _LEAST_NAME) + _width(kept) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    name_width = max(1, min(names.width, width - _width(kept)))
    lines: list[Text] = []
    for number in range(-1, len(names.cells)):
        line = Text(no_wrap=True)
        name, style = _cell(names, number)
        line.append_text(_fitted(name, style, name_width))
        for column in kept:
            text, style = _cell(column, number)
            line.append(" " * (_GAP + column.width - cell_len(text)))
            line.append(text, style)
        lines.append(line)
    return lines


def fill_lines(label: str, words: Sequence[tuple[str, str]], width: int) -> list[Text]:
    """Return lines that begin with a label and have a dot between their words, as many as it takes."""
    indent = cell_len(label)
    lines = [Text(label, style="bold", no_wrap=True)]
    used = indent
    for number, (text, style) in enumerate(words):
        dot = " · " if number and used > indent else ""
        if dot and used + cell_len(dot) + cell_len(text) > width:
            lines.append(Text(" " * indent, no_wrap=True))
            used, dot = indent, ""
        lines[-1].append(dot, "dim")
        lines[-1].append(text, style)
        used += cell_len(dot) + cell_len(text)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _width(columns: Sequence[Column]) -> int:
    return sum(_GAP + column.width for column in columns)


def _cell(column: Column, number: int) -> tuple[str, str]:
    return (column.title, "dim") if number < 0 else column.cells[number]


def _fitted(text: str, style: str, width: int) -> Text:
    fitted = Text(text, style)
    fitted.truncate(width, overflow="ellipsis", pad=True)
    return fitted
