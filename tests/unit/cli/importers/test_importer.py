"""What every importer has in common."""

import json
from collections.abc import Callable, Iterable

import pytest
from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.registry import IMPORTERS
from sarvanom.shared.models.crud_models import ResourceModel

ENTRIES: dict[str, Callable[[Iterable[str]], JsonValue]] = {
    "litellm": lambda names: {name: {"litellm_provider": "p"} for name in names},
    "datapackage": lambda names: {"resources": [{"name": name, "path": "x.csv"} for name in names]},
    "postgres-settings": lambda names: [{"name": name, "setting": "on"} for name in names],
}


@pytest.fixture(params=IMPORTERS, ids=lambda importer: importer.name)
def importer(request: pytest.FixtureRequest) -> Importer[ResourceModel]:
    found: Importer[ResourceModel] = request.param
    return found


def parse(importer: Importer[ResourceModel], *names: str) -> list[ResourceModel]:
    return [*importer.parse(json.dumps(ENTRIES[importer.name](names)).encode())]


def test_names_become_ids_in_order(importer: Importer[ResourceModel]) -> None:
    names = ["meta-llama/Llama-3.1-8B", "a", "bedrock/*/cohere.command-text-v14"]
    assert [importer.resource.id_of(item) for item in parse(importer, *names)] == names


@pytest.mark.parametrize("name", ["", "a b", "a//b", "/a", "..", "é", "x" * 256, "\x1b"])
def test_a_name_that_is_no_id_is_refused(importer: Importer[ResourceModel], name: str) -> None:
    with pytest.raises(ImportRefused, match="name: must be 1 to 255 letters") as caught:
        parse(importer, "fine", name)
    assert str(caught.value).isprintable()


def test_a_name_that_comes_twice_is_refused(importer: Importer[ResourceModel]) -> None:
    text = json.dumps(ENTRIES[importer.name](["a", "b", "c"])).replace('"b"', '"a"')
    with pytest.raises(ImportRefused, match='"a"'):
        [*importer.parse(text.encode())]


def test_an_empty_file_of_the_right_shape_holds_nothing(
    importer: Importer[ResourceModel],
) -> None:
    assert parse(importer) == []


@pytest.mark.parametrize("document", ["null", "1", '"x"', "true"])
def test_another_shape_is_refused(importer: Importer[ResourceModel], document: str) -> None:
    with pytest.raises(ImportRefused, match="must be"):
        [*importer.parse(document.encode())]


def test_the_files_of_the_others_are_refused(importer: Importer[ResourceModel]) -> None:
    for name, entries in ENTRIES.items():
        if name != importer.name:
            with pytest.raises(ImportRefused, match="must"):
                [*importer.parse(json.dumps(entries(["a"])).encode())]


@pytest.mark.parametrize("entry", ["1e400", '["x"]', '"x"', "null"])
def test_an_entry_that_cannot_be_kept_is_named(importer: Importer[ResourceModel], entry: str) -> None:
    text = json.dumps(ENTRIES[importer.name](["a", "b"]))
    last = text.rindex("{")
    text = text[:last] + entry + text[text.index("}", last) + 1 :]
    with pytest.raises(ImportRefused, match=r'^(model "b"|(resource|row) 2).* must be an object'):
        [*importer.parse(text.encode())]


def test_a_number_beyond_a_double_is_refused(importer: Importer[ResourceModel]) -> None:
    text = json.dumps(ENTRIES[importer.name](["a"])).replace("}", ', "x": 1e400}', 1)
    with pytest.raises(ImportRefused, match="Numbers must be finite"):
        [*importer.parse(text.encode())]
