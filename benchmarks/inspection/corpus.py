"""The texts that inspection is measured on; they are read where they lie, and no string of them is in the project."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from benchmarks.inspection.languages import sentences

DATA: Final = Path(__file__).parents[2] / "tests" / "data"


class Half(StrEnum):
    """Which half of a corpus a text is of: patterns are written with a view to the first alone."""

    DEVELOPMENT = "development"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, what it is, and where it is from."""

    text: str
    is_attack: bool
    group: str
    source: str

    @property
    def half(self) -> Half:
        """The half, by a hash of the text, so that it stays in it whatever is added."""
        digest = hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).digest()
        return Half.DEVELOPMENT if digest[0] < 128 else Half.HELD_BACK


def read_corpus(path: Path) -> list[Sample]:
    """Return the samples of a gzipped file of lines with `kind`, `group`, `src` and `text`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Sample(row["text"], row["kind"] == "attack", row["group"], row["src"]) for row in rows]


def read_honest_texts() -> list[Sample]:
    """Return the honest texts that are in the project: real names and descriptions, and sentences of many languages."""
    models: dict[str, Any] = json.loads((DATA / "litellm-models.json").read_text())
    package: dict[str, Any] = json.loads((DATA / "vega-datapackage.json").read_text())
    settings: list[dict[str, Any]] = json.loads((DATA / "postgres-settings.json").read_text())
    found: list[tuple[str, str, str]] = [("names", name, "litellm-models.json") for name in models]
    for resource in package["resources"]:
        found += [
            ("names", resource["name"], "vega-datapackage.json"),
            ("names", resource["path"], "vega-datapackage.json"),
        ]
        found += [("descriptions", text, "vega-datapackage.json") for text in _texts(resource.get("description"))]
    for setting in settings:
        found += [("descriptions", text, "postgres-settings.json") for text in _texts(setting)]
    found += [(f"language {language}", text, "templates") for language, text in sentences()]
    return [Sample(text, is_attack=False, group=group, source=source) for group, text, source in found]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
