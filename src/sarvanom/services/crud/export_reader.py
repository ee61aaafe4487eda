"""Reading an export of everything, line by line, each checked as if a caller had sent it."""

import operator
import re
from collections.abc import AsyncGenerator, AsyncIterable
from functools import reduce
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from sarvanom.backends.storage.contract import MAX_DOCUMENT_BYTES, Restored
from sarvanom.backends.storage.snapshots import BATCH_BYTES, BATCH_ROWS
from sarvanom.shared.errors import FieldError, MalformedJSON, PayloadTooLarge, ValidationFailed
from sarvanom.shared.json_bounds import check_json
from sarvanom.shared.models.bulk_models import ExportEnd, ExportHeader
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import RESOURCES, Resource
from sarvanom.shared.validation import field_errors
from sarvanom.web.bulk_lines import Line, read_lines

_LINE_LIMIT: Final = MAX_DOCUMENT_BYTES + 1024
_is_end: Final = re.compile(rb'\s*\{\s*"end"').match


class _ItemLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    resource: str
    item: Any


def _line_model(resource: Resource[Any]) -> Any:
    """Return the model of a line that holds one of these resources."""
    fields: Any = {"resource": (Literal[resource.collection], ...), "item": (resource.model, ...)}
    return create_model(f"{resource.model.__name__}Line", __base__=_ItemLine, **fields)


_resources: Final = {resource.collection: resource for resource in RESOURCES}
_OTHER_SEQUENCES: Final = {resource.sequence for resource in RESOURCES if not resource.is_logged}
_any_item: Final[Any] = reduce(operator.or_, map(_line_model, RESOURCES))
_ITEM: Final[TypeAdapter[_ItemLine]] = TypeAdapter(Annotated[_any_item, Field(discriminator="resource")])
_HEADER: Final = TypeAdapter(ExportHeader)
_END: Final = TypeAdapter(ExportEnd)


class ExportReader:
    """Takes the lines of an export in their order; raises for the first that is wrong, naming its number."""

    def __init__(self) -> None:
        self._header: ExportHeader | None = None
        self._limits: dict[str, int] = {}
        self._items = 0
        self._has_ended = False

    def read(self, line: Line) -> Restored | None:
        """Return the resource that a line holds, None for the first and last line.

        Raises:
            MalformedJSON, ValidationFailed, PayloadTooLarge: the line is not what has to come here.
        """
        number, text = line
        if text is None:
            raise PayloadTooLarge(f"Line {number} of the export has more than {_LINE_LIMIT} bytes")
        if self._header is None:
            self._begin(_validate(_HEADER, number, text))
            return None
        if self._has_ended:
            raise _invalid(number, "", "Nothing may follow the line that says that this is the end")
        if _is_end(text):
            self._end(number, _validate(_END, number, text))
            return None
        return self._item(number, _validate(_ITEM, number, text))

    def finish(self) -> ExportHeader:
        """Return the header, if the export was whole; raises `ValidationFailed`."""
        if self._header is None or not self._has_ended:
            raise ValidationFailed("The export is truncated: the line that says that this is the end is missing")
        return self._header

    def _begin(self, header: ExportHeader) -> None:
        if set(header.sequences) != _OTHER_SEQUENCES:
            raise _invalid(1, "sequences", f"Must name {', '.join(sorted(_OTHER_SEQUENCES))} and nothing else")
        self._header = header
        revisions = {"revision": header.revision, **header.sequences}
        self._limits = {name: revisions.get(resource.sequence, 0) for name, resource in _resources.items()}

    def _end(self, number: int, end: ExportEnd) -> None:
        if end.items != self._items:
            raise _invalid(number, "items", f"The export has {self._items} items, not {end.items}: some are missing")
        self._has_ended = True

    def _item(self, number: int, line: _ItemLine) -> Restored:
        item: ResourceModel = line.item
        for field in ("created_at", "updated_at"):
            time = getattr(item, field)
            if time is None or time.tzinfo is None:
                raise _invalid(number, f"item.{field}", "Must be a time with its offset (RFC 3339)")
        limit = self._limits[line.resource]
        if item.revision is None or not 1 <= item.revision <= limit:
            raise _invalid(number, "item.revision", f"Must be 1 to {limit}, the revision that the first line names")
        self._items += 1
        return Restored(_resources[line.resource], item, number)


async def read_batches(chunks: AsyncIterable[bytes], reader: ExportReader) -> AsyncGenerator[list[Restored]]:
    """Yield the resources of an export in batches of bounded size; raises what the reader raises."""
    batch: list[Restored] = []
    size = 0
    async for line in read_lines(chunks, _LINE_LIMIT):
        restored = reader.read(line)
        if restored is not None:
            batch.append(restored)
            size += len(line.text or b"")
        if len(batch) == BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _validate[T](adapter: TypeAdapter[T], number: int, text: bytes) -> T:
    try:
        check_json(text)
        return adapter.validate_json(text)
    except ValidationFailed as error:
        raise ValidationFailed(f"Line {number} of the export is not valid", errors=error.errors) from None
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        if found["type"] == "json_invalid":
            reason = found["ctx"]["error"]
            raise MalformedJSON(f"Line {number} of the export is not valid JSON: {reason}") from None
        fields = [FieldError(_without_collection(field), message) for field, message in field_errors(error)]
        raise ValidationFailed(f"Line {number} of the export is not valid", errors=fields) from None


def _without_collection(path: str) -> str:
    """Return the path of a field in a line; Pydantic puts the name of the model that it chose before it."""
    collection, _, rest = path.partition(".")
    return rest if collection in _resources else path


def _invalid(number: int, field: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"Line {number} of the export is not valid", errors=[FieldError(field, message)])
