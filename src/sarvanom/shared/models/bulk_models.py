"""Bulk import and export: what a line is answered with, and the first and last line of an export."""

from enum import StrEnum, auto
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sarvanom.shared.errors import FieldError, SarvanOMError, error_from_code
from sarvanom.shared.models.crud_models import ProblemField
from sarvanom.shared.models.fields import INT32, Count, Message, ResourceId

FORMAT: Final = "sarvanom-export"
VERSION: Final = 1


class OnConflict(StrEnum):
    """What to do with an item whose id is taken."""

    ERROR = auto()
    SKIP = auto()
    REPLACE = auto()


class Outcome(StrEnum):
    """What became of an item."""

    CREATED = auto()
    REPLACED = auto()
    SKIPPED = auto()
    REFUSED = auto()


class ImportParams(BaseModel):
    """How an import is carried out."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    on_conflict: OnConflict = OnConflict.ERROR
    """What to do with an item whose id is taken; only for a body of lines."""


class ImportResult(BaseModel):
    """What became of one line; a refused one has `code`, `detail` and perhaps `errors`, as in problem details."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    line: Count
    """Its number, from 1, blank lines included."""
    status: Annotated[int, Field(ge=200, le=599), INT32]
    outcome: Outcome
    id: ResourceId | None = None
    revision: Count | None = None
    """The revision of the write, or that of what was kept."""
    replayed: bool = False
    """Whether this was carried out before, under the same idempotency key."""
    code: Message | None = None
    detail: Message | None = None
    errors: Annotated[list[ProblemField], Field(max_length=10_000)] = []

    @property
    def error(self) -> SarvanOMError | None:
        """The error that the line was refused with."""
        if self.code is None:
            return None
        errors = [FieldError(error.field, error.message) for error in self.errors]
        return error_from_code(self.code, self.detail or "", errors=errors)


class ExportHeader(BaseModel):
    """The first line of an export of everything."""

    format: Literal["sarvanom-export"] = FORMAT
    version: Literal[1] = VERSION
    revision: Count
    sequences: dict[str, Count] = {}
    exported_at: AwareDatetime


class ExportEnd(BaseModel):
    """The last line of an export of everything."""

    end: Literal[True] = True
    items: Count


class RestoreSummary(BaseModel):
    """What was restored: the revision at which the store stands now, and how many there are of each collection."""

    revision: Count
    items: dict[str, Count]
