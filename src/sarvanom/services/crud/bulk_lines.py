"""Lines into a collection: what each asks for, and what came of it."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from sarvanom.backends.storage.contract import NOBODY, Document, Origin, Store, Write, Written
from sarvanom.services.crud.conflicts import id_taken
from sarvanom.services.crud.idempotency import Origins
from sarvanom.services.crud.tenancy import UNBOUND, Tenancy
from sarvanom.shared.errors import PayloadTooLarge, ResourceConflict, SarvanOMError
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict, Outcome
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import Resource
from sarvanom.shared.validation import parse_and_encode
from sarvanom.web.bulk_lines import Line

GROUP_LINES: Final = 1024
_CREATED: Final = f'"status":201,"outcome":"{Outcome.CREATED}"'
_REPLACED: Final = f'"status":200,"outcome":"{Outcome.REPLACED}"'
_SKIPPED: Final = f'"status":200,"outcome":"{Outcome.SKIPPED}"'


class Refused(NamedTuple):
    """A line that is refused as it stands."""

    number: int
    error: SarvanOMError


class _Decision:
    """What a line decides; `before` is what it was told last, which is what counted."""

    __slots__ = ("_import", "before", "item")

    def __init__(self, owner: "LineImport", item: ResourceModel) -> None:
        self._import = owner
        self.item = item
        self.before: Document | None = None

    def __call__(self, current: Document | None) -> ResourceModel:
        """Return the item, or refuse it because its id is taken."""
        self.before = current
        if current is not None:
            self._import.check_conflict(current)
        return self.item


class LineWrite(NamedTuple):
    """What a line asks for. Nothing in it refers back to it, so that it goes without a collection of garbage."""

    number: int
    write: Write
    decision: _Decision

    @property
    def is_sealed(self) -> bool:
        """Whether it has secrets, which were sealed when it was read."""
        return self.write.item is not self.decision.item


type Entry = LineWrite | Refused


@dataclass(frozen=True, slots=True)
class LineImport:
    """The import of lines into a collection, which `origin` asks for.

    With a `key`, each line has one of its own, from `origins`, under which it acts once.
    """

    resource: Resource[Any]
    store: Store
    on_conflict: OnConflict = OnConflict.ERROR
    origin: Origin = NOBODY
    key: str | None = None
    origins: Origins | None = None
    line_limit: int = 0
    tenancy: Tenancy = UNBOUND

    def check_conflict(self, current: Document) -> None:
        """Refuse to replace what a line meets under its id, unless that is asked for; raises `SarvanOMError`."""
        if self.on_conflict is not OnConflict.ERROR:
            self.tenancy.check_place(current)
        if self.on_conflict is not OnConflict.REPLACE:
            raise id_taken(self.resource)

    def read(self, line: Line) -> Entry:
        """Return what a line asks for; raises nothing."""
        number, text = line
        if text is None:
            return Refused(number, PayloadTooLarge(f"A line may have at most {self.line_limit} bytes"))
        try:
            parsed, kept = parse_and_encode(self.resource.write_model, text)
            item = self.tenancy.owned(parsed)
            if item is not parsed:
                kept = item.to_json()
            decision = _Decision(self, item)
            origin = self._origin(number, text)
            id = self.resource.id_of(item)
            write = self.store.prepare(Write(self.resource, id, decision, item, origin, text=kept))
        except SarvanOMError as error:
            return Refused(number, error)
        return LineWrite(number, write, decision)

    async def carry_out(self, entries: Sequence[Entry]) -> list[bytes]:
        """Store what was asked for, as one group, and return a result for each line."""
        asked = [entry for entry in entries if isinstance(entry, LineWrite)]
        outcomes = iter(await self._store([entry.write for entry in asked]) if asked else ())
        return [
            _refusal(entry.number, None, entry.error)
            if isinstance(entry, Refused)
            else self._result(entry, next(outcomes))
            for entry in entries
        ]

    async def _store(self, writes: Sequence[Write]) -> Sequence[Written | SarvanOMError]:
        try:
            return await self.store.write_all(writes)
        except SarvanOMError as error:
            return [error] * len(writes)

    def _origin(self, number: int, text: bytes) -> Origin:
        if self.origins is None or self.key is None:
            return self.origin
        asked = f"POST /{self.resource.collection}?on_conflict={self.on_conflict}\n".encode()
        return self.origins.of_line(self.origin, f"{self.key}\n{number}", asked + text)

    def _result(self, entry: LineWrite, outcome: Written | SarvanOMError) -> bytes:
        id, number, before = entry.write.id, entry.number, entry.decision.before
        if isinstance(outcome, SarvanOMError):
            if isinstance(outcome, ResourceConflict) and before is not None and self.on_conflict is OnConflict.SKIP:
                return _success(number, _SKIPPED, id, before.revision)
            return _refusal(number, id, outcome)
        status_and_outcome = _CREATED if outcome.is_new else _REPLACED
        return _success(number, status_and_outcome, id, outcome.revision, is_replay=outcome.is_replay)


async def import_lines(owner: LineImport, lines: Iterable[bytes]) -> AsyncGenerator[ImportResult]:
    """Yield what became of lines that are in this process."""
    numbered = (Line(number, text.rstrip(b"\r\n")) for number, text in enumerate(lines, 1))
    given = (line for line in numbered if line.text and not line.text.isspace())
    for group in batched(given, GROUP_LINES, strict=False):
        for result in await owner.carry_out([owner.read(line) for line in group]):
            yield ImportResult.model_validate_json(result)


def _success(number: int, status_and_outcome: str, id: str, revision: int, *, is_replay: bool = False) -> bytes:
    """Return a result as a line; an id has nothing in it that JSON escapes."""
    replayed = ',"replayed":true' if is_replay else ""
    return f'{{"line":{number},{status_and_outcome},"id":"{id}","revision":{revision}{replayed}}}\n'.encode()


def _refusal(number: int, id: str | None, error: SarvanOMError) -> bytes:
    result: dict[str, Any] = {"line": number, "status": error.status, "outcome": Outcome.REFUSED}
    if id is not None:
        result["id"] = id
    result |= {"code": error.code, "detail": error.detail}
    if error.errors:
        result["errors"] = [one._asdict() for one in error.errors]
    return to_json(result) + b"\n"
