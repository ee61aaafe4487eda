"""What an importer is: declared once, from which its command, its checks and its messages derive."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from sarvanom.cli.importers.document import (
    ImportRefused,
    JsonObject,
    quoted,
    read_json,
)
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.resources import Resource
from sarvanom.shared.validation import field_errors

ID_RULE = "must be 1 to 255 letters, digits or -._~!$&'()*+,;=:@ in parts separated by single slashes"


class Entry(NamedTuple):
    """One entry of a file: what to call it in a message, and the fields of the resource that it becomes."""

    label: str
    fields: JsonObject


@dataclass(frozen=True, slots=True)
class Importer[M: ResourceModel]:
    """A kind of file, and the collection that it fills.

    `entries` takes the file's JSON apart. `restore` is its reverse for one item: it returns the entry as it stood in
    the file. `members` tells where the file keeps a field, for messages.
    """

    name: str
    reads: str
    resource: Resource[M]
    entries: Callable[[JsonValue], Iterable[Entry]]
    restore: Callable[[M], JsonObject]
    members: Mapping[str, str] = field(default_factory=dict)

    def parse(self, text: bytes) -> Iterator[M]:
        """Yield the resources that a file describes, in its order.

        Raises:
            ImportRefused: the file is not of this kind, an entry breaks a rule, or two entries have the same id.
        """
        labels: dict[str, str] = {}
        for entry in self.entries(read_json(text)):
            item = self._item(entry)
            id = self.resource.id_of(item)
            if id in labels:
                raise ImportRefused(
                    f"{entry.label}: the {self._member(self.resource.id_field)} is already that of {labels[id]}"
                )
            labels[id] = entry.label
            yield item

    def _item(self, entry: Entry) -> M:
        try:
            return self.resource.model.model_validate(entry.fields)
        except ValidationError as error:
            name, message = field_errors(error)[0]
            if name == self.resource.id_field:
                message = ID_RULE
            raise ImportRefused(f"{entry.label}: {self._member(name)}: {message}") from None

    def _member(self, path: str) -> str:
        name, dot, inner = path.partition(".")
        return f"{self.members.get(name, name)}{dot}{inner}"


def object_at(label: str, value: JsonValue) -> JsonObject:
    """Return the value if it is an object, and else raise `ImportRefused`."""
    if not isinstance(value, dict):
        raise ImportRefused(f"{label} must be an object, not {quoted(value)}")
    return value


def label_of(kind: str, number: int, name: JsonValue) -> str:
    """Return what to call the entry of a list: its number, from 1, and its name if it has one."""
    return f"{kind} {number}" + (f" ({quoted(name)})" if isinstance(name, str) else "")
