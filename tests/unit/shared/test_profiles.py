"""Profiles on declarations: no text field goes without one."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import BaseModel, StringConstraints

from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import Count, Email, JsonObject, JsonValue, Name, ResourceId, Tags, Text, Timestamp
from sarvanom.shared.models.profiles import FREE, STRICT, Inspected, Profile, field_profiles, find_profile
from sarvanom.shared.resources import RESOURCES, Resource


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "profile"),
    [
        (Name, Profile.STRICT),
        (Name | None, Profile.STRICT),
        (Tags, Profile.STRICT),
        (dict[Name, list[Name]], Profile.STRICT),
        (tuple[Name, ...], Profile.STRICT),
        (Text, Profile.FREE),
        (JsonValue, Profile.FREE),
        (JsonObject, Profile.FREE),
        (ResourceId, Profile.OFF),
        (Email, Profile.OFF),
        (int, None),
        (bool | None, None),
        (Count, None),
        (Timestamp | None, None),
        (Colour, None),
        (Literal["a", "b"], None),
        (list[int], None),
    ],
)
def test_the_profile_of_a_type_is_that_of_the_text_in_it(annotation: Any, profile: Profile | None) -> None:
    assert find_profile(annotation) is profile


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        str | None,
        Annotated[str, StringConstraints(max_length=9)],
        list[str],
        dict[str, int],
        dict[Name, str],
        pydantic.JsonValue,
        Any,
        bytes,
        object,
    ],
)
def test_text_without_a_profile_is_refused(annotation: Any) -> None:
    with pytest.raises(ValueError, match="has no inspection profile"):
        find_profile(annotation)


def test_text_of_several_profiles_is_refused() -> None:
    with pytest.raises(ValueError, match="has several inspection profiles"):
        find_profile(dict[Name, Text])


def test_the_outermost_profile_counts() -> None:
    assert find_profile(Annotated[dict[Name, Text], FREE]) is Profile.FREE


@pytest.mark.parametrize(("profile", "reason"), [(Profile.OFF, ""), (Profile.STRICT, "because"), (Profile.FREE, "x")])
def test_what_is_off_has_a_reason_and_nothing_else_has(profile: Profile, reason: str) -> None:
    with pytest.raises(ValueError, match="has a reason"):
        Inspected(profile, reason)


def test_a_field_without_a_profile_is_named() -> None:
    class Thing(BaseModel):
        name: Annotated[str, STRICT]
        note: str

    with pytest.raises(ValueError, match=r"^Thing\.note: str has no inspection profile$"):
        field_profiles(Thing)


def test_a_resource_with_such_a_field_cannot_be_declared() -> None:
    class Thing(ResourceModel):
        id: ResourceId
        note: str

    with pytest.raises(ValueError, match=r"Thing\.note"):
        Resource(name="thing", collection="things", model=Thing, id_field="id")


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.collection)
def test_every_text_field_of_a_resource_has_a_profile(resource: Resource[Any]) -> None:
    schema = resource.model.model_json_schema()["properties"]
    for name, field in schema.items():
        arms = field.get("anyOf", [field])
        is_text = any(arm.get("type", "string") in ("string", "object", "array") for arm in arms)
        is_time = any(arm.get("format") == "date-time" for arm in arms)
        is_choice = not {"$ref", "enum"}.isdisjoint(field.get("items", {}))
        assert (name in resource.profiles) == (is_text and not is_time and not is_choice), name


def test_names_are_strict_and_what_people_write_is_free() -> None:
    profiles = {resource.collection: resource.profiles for resource in RESOURCES}
    assert profiles["users"]["username"] is profiles["datasets"]["source"] is Profile.STRICT
    assert profiles["cache"]["tags"] is profiles["models"]["provider"] is Profile.STRICT
    assert profiles["cache"]["value"] is profiles["users"]["preferences"] is Profile.FREE
    assert profiles["settings"]["setting_value"] is profiles["datasets"]["description"] is Profile.FREE
    assert profiles["users"]["user_id"] is profiles["users"]["email"] is Profile.OFF
