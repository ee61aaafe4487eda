"""Valid bodies for every collection, and what a change of one looks like."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

type Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One collection: its id field, the least and the most that a body can hold, and one field to change."""

    collection: str
    id_field: str
    least: Callable[[str], Body]
    full: Callable[[str], Body]
    changed: tuple[str, Any]
    required: tuple[str, ...]
    defaults: Body

    def path(self, id: str) -> str:
        return f"/{self.collection}/{id}"


def tag_of(id: str) -> str:
    """Return a text that fits any field and is as unique as the id."""
    return "".join(character for character in id if character.isalnum())[-60:]


SAMPLES: Final = (
    Sample(
        "cache",
        "key",
        lambda key: {"key": key, "value": 1},
        lambda key: {
            "key": key,
            "value": {"a": [1, None, "ä"]},
            "ttl": 60,
            "tags": ["one", tag_of(key)],
            "service": "s",
        },
        ("ttl", 77),
        ("value",),
        {"ttl": 3600, "tags": [], "service": "default"},
    ),
    Sample(
        "users",
        "user_id",
        lambda key: {"user_id": key, "username": key, "email": f"{tag_of(key)}@example.org"},
        lambda key: {
            "user_id": key,
            "username": f"Ünï {key}",
            "email": f"{tag_of(key)}@example.org",
            "preferences": {"theme": "dark", "nested": {"deep": [1, 2.5]}},
            "settings": {"beta": True},
            "service": "s",
        },
        ("preferences", {"theme": "light"}),
        ("username", "email"),
        {"preferences": {}, "settings": {}, "service": "default"},
    ),
    Sample(
        "models",
        "model_name",
        lambda key: {"model_name": key, "provider": "p"},
        lambda key: {
            "model_name": key,
            "provider": "p",
            "parameters": {"input_cost_per_token": 3e-06, "modes": ["chat"]},
            "enabled": False,
            "priority": 10,
            "service": "s",
        },
        ("priority", 7),
        ("provider",),
        {"parameters": {}, "enabled": True, "priority": 5, "service": "default"},
    ),
    Sample(
        "datasets",
        "dataset_id",
        lambda key: {"dataset_id": key, "name": "n"},
        lambda key: {
            "dataset_id": key,
            "name": "n",
            "description": "two\nlines",
            "source": "https://example.org/a.csv",
            "format": "csv",
            "size": 9007199254740991,
            "metadata": {"licence": "MIT"},
            "service": "s",
        },
        ("description", "another"),
        ("name",),
        {"description": "", "source": "", "format": "", "size": None, "metadata": {}, "service": "default"},
    ),
    Sample(
        "settings",
        "setting_key",
        lambda key: {"setting_key": key, "setting_value": None},
        lambda key: {
            "setting_key": key,
            "setting_value": [1, {"a": False}],
            "category": "c",
            "description": "d",
            "encrypted": False,
            "service": "s",
        },
        ("category", "another"),
        ("setting_value",),
        {"category": "", "description": "", "encrypted": False, "service": "default"},
    ),
)
