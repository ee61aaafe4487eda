"""Which members of a file's entry become fields of a resource, so that the way back gives the same entry again."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from sarvanom.cli.importers.document import JsonObject
from sarvanom.shared.models.crud_models import ResourceModel


@dataclass(frozen=True, slots=True)
class Layout:
    """`members` maps an entry's members to fields; all others are kept verbatim in the field called `rest`.

    A member that is null or empty text stays in the rest too: a field could not tell it from one that is absent.
    """

    members: Mapping[str, str]
    rest: str

    def split(self, entry: JsonObject) -> tuple[JsonObject, JsonObject]:
        """Return the fields that the entry's members become, without the rest, and the rest."""
        moved = {member for member in self.members if not says_nothing(entry.get(member))}
        fields = {self.members[member]: entry[member] for member in moved}
        rest = {member: value for member, value in entry.items() if member not in moved}
        return fields, rest

    def join(self, item: ResourceModel) -> JsonObject:
        """Return the entry that was split."""
        rest: JsonObject = getattr(item, self.rest)
        moved = {
            member: getattr(item, field)
            for member, field in self.members.items()
            if not says_nothing(getattr(item, field))
        }
        return {**moved, **rest}


def says_nothing(value: JsonValue) -> bool:
    """Tell whether a member might as well be absent."""
    return value is None or value == ""
