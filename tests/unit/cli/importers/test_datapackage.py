"""Frictionless Data Packages."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import JsonValue

from sarvanom.cli.importers.datapackage import DATAPACKAGE, restore_dataset
from sarvanom.cli.importers.document import ImportRefused, JsonObject
from sarvanom.shared.models.crud_models import Dataset
from tests.unit.cli.importers.strategies import json_values, scalars

PACKAGE: JsonObject = {"name": "p", "homepage": "https://example.org", "licenses": []}


def parse_one(resource: JsonValue, package: JsonObject | None = None) -> Dataset:
    document = {**(package or {}), "resources": [resource]}
    (item,) = DATAPACKAGE.parse(json.dumps(document).encode())
    return item


def test_members_become_fields_and_the_others_metadata() -> None:
    resource: JsonObject = {
        "name": "cars",
        "title": "Cars of 1983",
        "description": "Fuel\nand weight",
        "path": "data/cars.csv",
        "format": "csv",
        "bytes": 0,
        "hash": "sha1:00",
        "schema": {"fields": []},
    }
    assert parse_one(resource) == Dataset(
        dataset_id="cars",
        name="Cars of 1983",
        description="Fuel\nand weight",
        source="data/cars.csv",
        format="csv",
        size=0,
        metadata={"hash": "sha1:00", "schema": {"fields": []}},
    )


def test_a_resource_without_title_is_called_by_its_name() -> None:
    assert parse_one({"name": "cars", "path": "x"}).name == "cars"


def test_what_the_package_says_of_itself_is_kept_with_each_resource() -> None:
    resource: JsonObject = {"name": "cars", "path": "cars.csv"}
    item = parse_one(resource, PACKAGE)
    assert item.metadata == {"datapackage": PACKAGE}
    assert restore_dataset(item) == resource


@pytest.mark.parametrize("location", [{"path": ["a.csv", "b.csv"]}, {"data": [{"a": 1}]}, {"data": None}])
def test_several_files_and_inline_data_stay_in_the_metadata(
    location: JsonObject,
) -> None:
    item = parse_one({"name": "cars", **location})
    assert item.source == ""
    assert item.metadata == location
    assert restore_dataset(item) == {"name": "cars", **location}


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("cars.json", 'resource 1 must be an object, not "cars.json"'),
        ({"path": "x"}, "resource 1: name: must be 1 to 255 letters"),
        ({"name": 5, "path": "x"}, "resource 1: name: must be 1 to 255 letters"),
        ({"name": "a"}, 'resource 1 ("a"): must have either `path`'),
        ({"name": "a", "path": ""}, 'resource 1 ("a"): must have either `path`'),
        ({"name": "a", "path": "x", "data": []}, "must have either `path`"),
        ({"name": "a", "path": []}, "path: must be text or a list"),
        ({"name": "a", "path": ["x", 1]}, "path: must be text or a list"),
        ({"name": "a", "path": {"x": 1}}, "path: Input should be a valid string"),
        ({"name": "a", "path": "x", "bytes": "12"}, "bytes: Input should be a valid"),
        ({"name": "a", "path": "x", "bytes": -1}, "bytes: Input should be greater"),
        ({"name": "a", "path": "x", "bytes": True}, "bytes: Input should be a valid"),
        ({"name": "a", "path": "x", "title": {"en": "A"}}, "title: Input should be"),
        ({"name": "a", "path": "x", "format": "f" * 256}, "format: String should"),
        ({"name": "a", "path": "x", "datapackage": 1}, "datapackage must not be"),
    ],
)
def test_a_bad_resource_is_named_with_what_would_be_right(resource: JsonValue, message: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        parse_one(resource)
    assert message in str(caught.value)


@pytest.mark.parametrize("document", [{}, [], {"resources": {}}, {"resources": None}])
def test_an_object_without_resources_is_no_package(document: JsonValue) -> None:
    with pytest.raises(ImportRefused, match="must be a data package"):
        [*DATAPACKAGE.parse(json.dumps(document).encode())]


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=5)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b"]), "path": words.filter(bool) | st.lists(words, min_size=1)},
        optional={
            "title": st.sampled_from([None, "", "a", "b"]) | words,
            "description": st.none() | st.text(),
            "format": st.none() | words,
            "bytes": st.none() | st.integers(0, 2**53 - 1),
            "metadata": scalars,
            "source": scalars,
            "dataset_id": scalars,
            "service": scalars,
        },
    ),
    st.dictionaries(st.text(), json_values),
    st.dictionaries(st.text(), json_values),
)
def test_restoring_gives_the_resource_again(resource: JsonObject, others: JsonObject, package: JsonObject) -> None:
    resource = {**{f"x-{key}": value for key, value in others.items()}, **resource}
    restored = restore_dataset(parse_one(resource, package))
    assert json.dumps(restored, sort_keys=True) == json.dumps(resource, sort_keys=True)
