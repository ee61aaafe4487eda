"""The five models: what they take, what they refuse, and the text that a write sends."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.crud_models import (
    MAX_LIMIT,
    MAX_TTL,
    CacheEntry,
    CRUDResponse,
    Dataset,
    FilterParams,
    ListResponse,
    ModelConfiguration,
    PaginationParams,
    Problem,
    ResourceModel,
    SystemSetting,
    UserProfile,
)
from sarvanom.shared.models.fields import MAX_INTEGER

LEAST: dict[type[ResourceModel], dict[str, Any]] = {
    CacheEntry: {"key": "k", "value": None},
    UserProfile: {"user_id": "ada", "username": "Ada", "email": "ada@example.org"},
    ModelConfiguration: {"model_name": "m", "provider": "p"},
    Dataset: {"dataset_id": "d", "name": "D"},
    SystemSetting: {"setting_key": "s", "setting_value": 1},
}
MODELS = list(LEAST)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_without_a_default_is_required(model: type[ResourceModel]) -> None:
    for name in LEAST[model]:
        with pytest.raises(ValidationError) as caught:
            model(**{key: value for key, value in LEAST[model].items() if key != name})
        assert [(found["loc"], found["type"]) for found in caught.value.errors()] == [((name,), "missing")]


@pytest.mark.parametrize("model", MODELS)
def test_unknown_field_is_refused(model: type[ResourceModel]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        model(**{**LEAST[model], "colour": "red"})


@pytest.mark.parametrize("model", MODELS)
def test_item_cannot_be_changed(model: type[ResourceModel]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model(**LEAST[model]), "service", "other")  # noqa: B010 (mypy knows that it is read-only)


@pytest.mark.parametrize("model", MODELS)
def test_text_of_an_item_has_all_fields_but_the_servers(model: type[ResourceModel]) -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    item = model(**LEAST[model], created_at=moment, updated_at=moment, revision=7)
    text = json.loads(item.to_json())
    assert set(text) == set(model.model_fields) - model.server_fields
    assert text["service"] == "default"
    assert model.model_validate_json(item.to_json()) == model(**LEAST[model])


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_described_or_speaks_for_itself(model: type[ResourceModel]) -> None:
    for name in ("service", "created_at", "updated_at", "revision"):
        assert model.model_fields[name].description
    schema = model.model_json_schema()["properties"]
    assert [name for name in schema if schema[name].get("readOnly")] == ["created_at", "updated_at", "revision"]


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (CacheEntry, "ttl", 0),
        (CacheEntry, "ttl", MAX_TTL + 1),
        (CacheEntry, "ttl", "60"),
        (CacheEntry, "ttl", 60.5),
        (CacheEntry, "tags", "a"),
        (CacheEntry, "key", "a b"),
        (UserProfile, "username", ""),
        (UserProfile, "username", "a\n"),
        (UserProfile, "email", "ada"),
        (UserProfile, "preferences", []),
        (UserProfile, "settings", None),
        (ModelConfiguration, "priority", 0),
        (ModelConfiguration, "priority", 11),
        (ModelConfiguration, "priority", True),
        (ModelConfiguration, "enabled", 1),
        (ModelConfiguration, "enabled", "true"),
        (Dataset, "size", -1),
        (Dataset, "size", MAX_INTEGER + 1),
        (Dataset, "description", "x" * 100_001),
        (Dataset, "source", "x" * 4097),
        (Dataset, "format", "a\tb"),
        (SystemSetting, "category", "x" * 256),
        (SystemSetting, "service", ""),
        (SystemSetting, "service", None),
    ],
)
def test_value_out_of_range_or_of_another_kind_is_refused(
    model: type[ResourceModel], field: str, value: object
) -> None:
    with pytest.raises(ValidationError) as caught:
        model(**{**LEAST[model], field: value})
    assert {found["loc"][0] for found in caught.value.errors()} == {field}


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (CacheEntry, "ttl", None),
        (CacheEntry, "ttl", MAX_TTL),
        (CacheEntry, "ttl", 60.0),
        (CacheEntry, "value", [1, {"a": None}]),
        (ModelConfiguration, "priority", 10),
        (Dataset, "size", None),
        (Dataset, "size", MAX_INTEGER),
        (Dataset, "source", "~" * 4096),
        (SystemSetting, "setting_value", None),
    ],
)
def test_value_at_the_edge_is_kept(model: type[ResourceModel], field: str, value: object) -> None:
    assert getattr(model(**{**LEAST[model], field: value}), field) == value


@pytest.mark.parametrize("value", ["\ud800", "a\udfff"])
def test_text_that_utf8_cannot_carry_is_never_sent(value: str) -> None:
    with pytest.raises(ValidationFailed):
        SystemSetting(setting_key="s", setting_value=value).to_json()


def test_items_of_the_same_class_share_no_default() -> None:
    one = UserProfile(user_id="a", username="a", email="a@e")
    one.preferences["theme"] = "dark"
    assert UserProfile(user_id="a", username="a", email="a@e").preferences == {}


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": MAX_LIMIT + 1}, {"limit": "1_0"}, {"skip": -1}, {"skip": "1.0"}, {"page": 1}],
)
def test_page_out_of_range_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PaginationParams(**params)


def test_page_has_100_items_unless_told_otherwise() -> None:
    assert PaginationParams().model_dump(exclude_none=True) == {"limit": 100, "skip": 0, "include_total": False}


def test_filters_keep_their_conditions_and_gain_more() -> None:
    filters = FilterParams(service="chat", priority__gte=5)
    more = filters.with_conditions(priority__gte=6, enabled=True)
    assert filters.conditions == {"service": "chat", "priority__gte": 5}
    assert more.conditions == {"service": "chat", "priority__gte": 6, "enabled": True}
    assert FilterParams().conditions == {}


def test_envelope_says_success_and_what_happened() -> None:
    response = CRUDResponse[int](message="counted", data=3)
    assert response.model_dump() == {"status": "success", "message": "counted", "data": 3, "metadata": {}}


def test_list_envelope_is_what_a_client_reads() -> None:
    text = '{"status":"success","message":"m","data":{"items":[3]},"metadata":{"limit":1,"next_cursor":null}}'
    response = ListResponse[int].model_validate_json(text)
    assert (response.data.items, response.metadata.total) == ([3], None)


def test_problem_may_go_without_errors() -> None:
    problem = Problem(title="Not found", status=404, code="not_found", detail="None", request_id="r")
    assert (problem.type, problem.errors) == ("about:blank", [])
