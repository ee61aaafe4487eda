"""LiteLLM's price list."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, JsonObject
from sarvanom.cli.importers.litellm import LITELLM, restore_model
from sarvanom.shared.models.crud_models import ModelConfiguration
from tests.unit.cli.importers.strategies import json_values


def parse_one(entry: JsonValue, name: str = "m") -> ModelConfiguration:
    (item,) = LITELLM.parse(json.dumps({name: entry}).encode())
    return item


def test_the_entry_becomes_the_parameters() -> None:
    entry: JsonObject = {
        "litellm_provider": "openai",
        "max_tokens": 4096,
        "input_cost_per_token": 1e-06,
        "search_context_cost_per_query": {"search_context_size_low": 1.0},
    }
    assert parse_one(entry, "openai/gpt-4o") == ModelConfiguration(
        model_name="openai/gpt-4o", provider="openai", parameters=entry
    )


def test_the_entry_that_documents_the_file_is_left_out() -> None:
    text = b'{"sample_spec": {"litellm_provider": "one of ..."}, "m": {}}'
    assert [item.model_name for item in LITELLM.parse(text)] == ["m"]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai/gpt-4o", "openai"),
        ("bedrock/us-east-1/claude", "bedrock"),
        ("gpt-4o", "unknown"),
    ],
)
@pytest.mark.parametrize("entry", [{}, {"litellm_provider": None}, {"litellm_provider": ""}])
def test_a_model_that_names_no_provider_is_filed_under_its_name(name: str, provider: str, entry: JsonObject) -> None:
    item = parse_one(entry, name)
    assert item.provider == provider
    assert item.parameters == entry


@pytest.mark.parametrize("provider", [1, True, ["openai"], "x" * 256, "a\nb"])
def test_a_provider_that_is_no_name_is_refused(provider: JsonValue) -> None:
    with pytest.raises(ImportRefused, match=r'^model "m": litellm_provider: '):
        parse_one({"litellm_provider": provider})


@settings(deadline=None)
@given(st.dictionaries(st.text(), json_values))
def test_restoring_gives_the_entry_again(entry: JsonObject) -> None:
    restored = restore_model(parse_one({**entry, "litellm_provider": "p"}))
    assert json.dumps(restored) == json.dumps({**entry, "litellm_provider": "p"})
