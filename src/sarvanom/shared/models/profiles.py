"""How closely a text is inspected for attacks: its profile, which the type of every text field declares."""

import types
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Annotated, Any, Final, Literal, TypeAliasType, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, JsonValue

_NO_TEXT: Final = (bool, int, float, datetime, AwareDatetime, type(None))


class Profile(StrEnum):
    """How closely a text is inspected."""

    STRICT = "strict"
    """Names, identifiers, query values: nobody writes code there."""
    FREE = "free"
    """Answers, prompts, descriptions, settings: talk of SQL and HTML is honest there."""
    OFF = "off"
    """Not at all, for a reason that is stated."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The profile of a text, among the metadata of its type; `reason` says why one is off, and nothing else."""

    profile: Profile
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.profile is Profile.OFF) != bool(self.reason):
            raise ValueError("a profile has a reason if it is off, and only then")


STRICT: Final = Inspected(Profile.STRICT)
FREE: Final = Inspected(Profile.FREE)


def find_profile(annotation: Any, metadata: Sequence[Any] = ()) -> Profile | None:
    """Return the profile of the text that a type holds, or None if it holds none.

    Raises:
        ValueError: it holds text without a profile, or of several.
    """
    for item in metadata:
        if isinstance(item, Inspected):
            return item.profile
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return find_profile(arguments[0], arguments[1:])
    if isinstance(annotation, TypeAliasType) and annotation is not JsonValue:
        return find_profile(annotation.__value__)
    if annotation in _NO_TEXT or origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return None
    if annotation is JsonValue or origin not in (Union, types.UnionType, list, tuple, dict, set, frozenset):
        name = annotation.__name__ if isinstance(annotation, type | TypeAliasType) else annotation
        raise ValueError(f"{name} has no inspection profile")
    found = {find_profile(argument) for argument in arguments if argument is not Ellipsis} - {None}
    if len(found) > 1:
        raise ValueError(f"{annotation} has several inspection profiles")
    return found.pop() if found else None


def field_profiles(model: type[BaseModel]) -> dict[str, Profile]:
    """Return the profile of each field of a model that holds text; raises `ValueError` as `find_profile` does."""
    profiles: dict[str, Profile] = {}
    for name, field in model.model_fields.items():
        try:
            profile = find_profile(field.annotation, field.metadata)
        except ValueError as error:
            raise ValueError(f"{model.__name__}.{name}: {error}") from None
        if profile is not None:
            profiles[name] = profile
    return profiles
