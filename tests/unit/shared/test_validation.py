"""From bytes to items, and JSON Merge Patch as RFC 7396 has it."""

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter, ValidationError

from sarvanom.cli.importers.litellm import read_models
from sarvanom.shared import validation
from sarvanom.shared.errors import MalformedJSON, SarvanOMError, ValidationFailed
from sarvanom.shared.json_bounds import LARGE, MAX_JSON_KEYS
from sarvanom.shared.models.crud_models import ResourceModel, UserProfile
from sarvanom.shared.resources import CACHE, MODELS, SETTINGS, USERS, Resource
from sarvanom.shared.validation import (
    encode_patch,
    field_errors,
    merge_patch,
    model_title,
    parse_and_encode,
    parse_model,
    parse_patch,
    parse_replacement,
)

ADA = b'{"user_id": "ada", "username": "Ada", "email": "ada@example.org"}'
SCALARS: st.SearchStrategy[JsonValue] = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
KEYS = st.sampled_from("abc")
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nul", b"{'a': 1}", b'{"a": 1,}', b"\xff", b'"\xed\xa0\x80"', b"{} {}", b"[" * 9999]
)
def test_text_that_is_no_json_is_malformed(text: bytes) -> None:
    for parse in (lambda: parse_model(UserProfile, text), lambda: parse_patch(USERS, text)):
        with pytest.raises(MalformedJSON, match="The body is not valid JSON"):
            parse()


@pytest.mark.parametrize("text", [b"null", b"[]", b"3", b'"{}"', b"true"])
def test_json_that_is_no_object_is_invalid_as_a_whole(text: bytes) -> None:
    with pytest.raises(ValidationFailed, match="The body is no valid UserProfile") as caught:
        parse_model(USERS.write_model, text)
    assert [error.field for error in caught.value.errors] == [""]


def test_every_fault_is_named_by_its_path_and_never_by_its_value() -> None:
    text = b'{"user_id": "s3cret one", "username": "", "settings": ["s3cret"], "tags": "s3cret"}'
    with pytest.raises(ValidationFailed) as caught:
        parse_model(USERS.write_model, text)
    assert {error.field for error in caught.value.errors} == {"user_id", "username", "email", "settings", "tags"}
    assert "s3cret" not in str(caught.value.errors) + caught.value.detail


def test_path_into_a_field_has_dots() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, list[int]]).validate_python({"a": [1, "x"]})
    assert [error.field for error in field_errors(caught.value)] == ["a.1"]


def test_valid_text_becomes_the_item_without_the_servers_fields() -> None:
    item = parse_model(USERS.write_model, ADA[:-1] + b', "revision": "x", "created_at": 0}')
    assert json.loads(item.to_json())["username"] == "Ada"


def test_patch_holds_what_was_sent_and_nothing_of_the_servers() -> None:
    text = b'{"parameters": {"a": null}, "priority": null, "revision": 9, "updated_at": "x"}'
    assert parse_patch(MODELS, text) == {"parameters": {"a": None}, "priority": None}
    assert parse_patch(MODELS, b"{}") == {}


def test_patch_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="no valid ModelConfiguration") as caught:
        parse_patch(MODELS, b'{"priority": 11, "enabled": "no"}')
    assert {error.field for error in caught.value.errors} == {"priority", "enabled"}


@pytest.mark.parametrize("changes", [{"value": "\ud800"}, {"value": float("nan")}])
def test_patch_that_json_cannot_carry_is_never_sent(changes: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationFailed, match="The patch"):
        encode_patch(changes)


@given(st.dictionaries(KEYS, VALUES))
@settings(deadline=None)
def test_patch_is_sent_as_it_is(changes: dict[str, JsonValue]) -> None:
    assert json.loads(encode_patch(changes)) == changes


def test_replacement_takes_its_id_from_the_path() -> None:
    absent = parse_replacement(USERS, "ada", b'{"username": "Ada", "email": "ada@example.org"}')
    assert absent.user_id == "ada"
    assert parse_replacement(USERS, "ada", ADA) == absent


def test_replacement_about_another_item_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="not about this user") as caught:
        parse_replacement(USERS, "bob", ADA)
    assert [(error.field, error.message) for error in caught.value.errors] == [
        ("user_id", "Must be bob, as in the path, or absent")
    ]


@pytest.mark.parametrize(
    "text", [b'{"setting_value": 1, "setting_key": null}', b'{"setting_value": 1, "setting_key": "/"}']
)
def test_replacement_with_a_bad_id_is_refused(text: bytes) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_replacement(SETTINGS, "a", text)
    assert {error.field for error in caught.value.errors} == {"setting_key"}


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_rfc_hold(target: JsonValue, patch: JsonValue, merged: JsonValue) -> None:
    """RFC 7396, appendix A."""
    assert merge_patch(target, patch) == merged


@given(VALUES, VALUES)
@settings(deadline=None)
def test_patch_twice_is_patch_once_and_changes_neither_side(target: JsonValue, patch: JsonValue) -> None:
    before = copy.deepcopy((target, patch))
    merged = merge_patch(target, patch)
    assert (target, patch) == before
    assert merge_patch(merged, patch) == merged


@given(OBJECTS)
@settings(deadline=None)
def test_empty_patch_changes_nothing(target: dict[str, JsonValue]) -> None:
    assert merge_patch(target, {}) == target


@given(VALUES, OBJECTS)
@settings(deadline=None)
def test_null_removes_and_the_rest_is_kept(target: JsonValue, patch: dict[str, JsonValue]) -> None:
    merged: Any = merge_patch(target, patch)
    kept = target if isinstance(target, dict) else {}
    assert set(merged) == (set(kept) | set(patch)) - {name for name, value in patch.items() if value is None}
    assert all(merged[name] == kept[name] for name in set(merged) - set(patch))
    assert all(merged[name] == merge_patch(kept.get(name), value) for name, value in patch.items() if name in merged)


def difference(old: JsonValue, new: JsonValue) -> JsonValue:
    """Return the patch that makes `new` of `old`; `new` may hold no null inside objects."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {name: difference(old[name], value) if name in old else value for name, value in new.items()}
    return {**dict.fromkeys(old.keys() - new.keys()), **changed}


def without_nulls(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


@given(VALUES, VALUES.map(without_nulls))
@settings(deadline=None)
def test_any_object_without_nulls_can_be_reached(old: JsonValue, new: JsonValue) -> None:
    assert merge_patch(old, difference(old, new)) == new


def test_variants_of_a_model_have_its_title() -> None:
    models = (USERS.model, USERS.write_model, USERS.replace_model, USERS.patch_model)
    assert {model_title(model) for model in models} == {"UserProfile"}


class Members(list[tuple[str, Any]]):
    """An object as it may be sent: with a key more than once."""


def sent(value: Any, colon: str, *, is_escaped: bool) -> str:
    """Write a value as somebody might; `is_escaped` spells colons in texts by their code point."""
    match value:
        case Members():
            members = [[sent(part, colon, is_escaped=is_escaped) for part in member] for member in value]
            return "{" + ",".join(map(colon.join, members)) + "}"
        case list():
            return "[" + ",".join(sent(item, colon, is_escaped=is_escaped) for item in value) + "]"
        case str() if is_escaped:
            return json.dumps(value).replace(":", "\\u003A")
    return json.dumps(value)


COLONS = st.text(':a\\"é', max_size=4)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats()
SENT: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | COLONS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(COLONS, inner), max_size=3).map(Members),
    max_leaves=8,
)
FIELDS: dict[Resource[Any], dict[str, st.SearchStrategy[Any]]] = {
    MODELS: {
        "model_name": st.just("a:b"),
        "provider": st.just("p"),
        "parameters": SENT.filter(lambda value: isinstance(value, Members)),
        "priority": st.sampled_from([7, 7.0, 11]),
        "service": st.sampled_from(["s", "a:b", ""]),
        "created_at": SENT,
    },
    SETTINGS: {"setting_key": st.just("k"), "setting_value": SENT, "description": COLONS, "encrypted": st.booleans()},
    CACHE: {
        "key": st.just("k"),
        "value": SENT,
        "tags": st.lists(COLONS, max_size=2),
        "ttl": st.sampled_from([None, 9]),
    },
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[Resource[Any], bytes]:
    """Return a resource, and a text that may or may not describe one of it."""
    resource = draw(st.sampled_from(list(FIELDS)))
    fields = FIELDS[resource]
    names = draw(st.lists(st.sampled_from(list(fields)), max_size=2)) + draw(st.permutations(list(fields)))
    members = Members((name, draw(fields[name])) for name in names[draw(st.integers(0, 3)) :])
    text = sent(members, draw(st.sampled_from([":", " : "])), is_escaped=draw(st.booleans()))
    return resource, text.encode("utf-8", "surrogatepass")


def outcome(parse: Callable[[type[ResourceModel], bytes], Any], model: type[ResourceModel], text: bytes) -> Any:
    try:
        return parse(model, text)
    except SarvanOMError as error:
        return type(error), error.detail, error.errors


@given(bodies())
@settings(deadline=None, max_examples=500)
def test_reading_and_writing_at_once_is_as_one_after_the_other(body: tuple[Resource[Any], bytes]) -> None:
    resource, text = body

    def one_by_one(model: type[ResourceModel], text: bytes) -> tuple[ResourceModel, bytes]:
        item = parse_model(model, text)
        return item, item.to_json()

    assert outcome(parse_and_encode, resource.write_model, text) == outcome(one_by_one, resource.write_model, text)


@pytest.mark.parametrize(
    "member",
    [
        b'"a":1,"a":2',
        b'"a":1,"b":[{"c":":","c":"::"}]',
        b'"a":"\\u003a","a":""',
        b'"a":"\\u003A\\u003A","b":{"c":1,"c":2}',
        b'"a":NaN',
        b'"a":[-Infinity]',
        b'"a":{"b":1e999}',
        b'"a":' + b"[" * 101 + b"]" * 101,
        b",".join(b'"%d":0' % number for number in range(MAX_JSON_KEYS)),
    ],
)
def test_what_may_not_be_stored_is_refused_though_it_is_read_and_written_at_once(member: bytes) -> None:
    text = b'{"model_name":"m","provider":"p","parameters":{%b}}' % member
    with pytest.raises(ValidationFailed) as caught:
        parse_and_encode(MODELS.write_model, text)
    assert outcome(parse_model, MODELS.write_model, text) == (
        ValidationFailed,
        caught.value.detail,
        caught.value.errors,
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_changed_past_validation_is_not_lost(number: float) -> None:
    item = parse_model(MODELS.write_model, b'{"model_name":"m","provider":"p"}')
    with pytest.raises(ValidationFailed):
        parse_model(MODELS.write_model, item.model_copy(update={"parameters": {"a": [number]}}).to_json())


def test_nothing_is_read_at_once_that_can_have_too_many_keys() -> None:
    assert len(b'"":0') * MAX_JSON_KEYS > LARGE


def test_real_items_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: type[Any], text: bytes) -> Any:
        raise AssertionError(f"read a second time: {text!r}")

    lines = _real_lines()
    expected = [parse_model(resource.write_model, line) for resource, line in lines]
    monkeypatch.setattr(validation, "parse_model", refuse)
    assert [parse_and_encode(resource.write_model, line)[0] for resource, line in lines] == expected


def _real_lines() -> Sequence[tuple[Resource[Any], bytes]]:
    data = Path(__file__).parents[2] / "data"
    models = [entry.fields for entry in read_models(json.loads((data / "litellm-models.json").read_bytes()))]
    parameters = json.loads((data / "postgres-settings.json").read_bytes())
    items: list[tuple[Resource[Any], Any]] = [(MODELS, fields) for fields in models]
    items += [(SETTINGS, {"setting_key": f"s{n}", "setting_value": value}) for n, value in enumerate(parameters)]
    return [(resource, json.dumps(fields, ensure_ascii=False).encode()) for resource, fields in items]
