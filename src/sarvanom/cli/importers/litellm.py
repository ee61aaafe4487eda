"""LiteLLM's `model_prices_and_context_window.json`: one object from model names to what is known of the model.

The whole entry becomes the parameters, so that nothing of it is lost. `sample_spec` is left out: it documents the file.
An entry without `litellm_provider` is filed under the first part of its name (`openai` for `openai/gpt-4o`), or under
`unknown` if the name has one part only; in LiteLLM 1.109.1 that is `fallback_generalizations`, which is no model but
holds rules for names that the file does not list.
"""

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, JsonObject, quoted
from sarvanom.cli.importers.importer import Entry, Importer, object_at
from sarvanom.cli.importers.layout import says_nothing
from sarvanom.shared.models.crud_models import ModelConfiguration
from sarvanom.shared.resources import MODELS

DOCUMENTATION: Final = "sample_spec"
UNKNOWN_PROVIDER: Final = "unknown"


def read_models(document: JsonValue) -> Iterator[Entry]:
    """Yield the entries of the file, but for the one that documents it."""
    if not isinstance(document, dict):
        raise ImportRefused("must be an object from model names to their entries, as LiteLLM publishes it")
    for name, value in document.items():
        if name == DOCUMENTATION:
            continue
        label = f"model {quoted(name)}"
        entry = object_at(label, value)
        provider = entry.get("litellm_provider")
        fields: JsonObject = {
            "model_name": name,
            "provider": provider_from_name(name) if says_nothing(provider) else provider,
            "parameters": entry,
        }
        yield Entry(label, fields)


def provider_from_name(name: str) -> str:
    """Return the provider of a model whose entry does not say: the first of several parts of its name, or `unknown`."""
    first, slash, _ = name.partition("/")
    return first if slash and first else UNKNOWN_PROVIDER


def restore_model(item: ModelConfiguration) -> JsonObject:
    """Return the entry as it stood in the file, under the item's name."""
    return item.parameters


LITELLM: Final = Importer(
    name="litellm",
    reads="LiteLLM's model_prices_and_context_window.json",
    resource=MODELS,
    entries=read_models,
    restore=restore_model,
    members={"model_name": "name", "provider": "litellm_provider"},
)
