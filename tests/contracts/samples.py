"""Made-up resources for the contract suite: every field filled, ids of their own, ties and nulls among many."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import MAX_INTEGER
from sarvanom.shared.resources import CACHE, DATASETS, MODELS, SETTINGS, USERS, Resource

# Code point order and UTF-16 order differ between the last two; `%` and `_` mean something to LIKE.
WORDS = (
    "",
    "a",
    "A",
    "a%",
    "a_b",
    "Zed",
    "\u00e9",
    "e\u0301",
    "\ud7ff!",
    "\ufffd",
    "\U0001f600",
    "\U0010ffff\U0010ffff",
)
SIZES = (None, 0, 1, 1, None, MAX_INTEGER, 7)


def new_id() -> str:
    """Return an id that nothing else has."""
    return uuid4().hex


@dataclass(frozen=True)
class Sample:
    """How to make items of one resource: `full` fills every field, `row` makes the nth of many."""

    resource: Resource[Any]
    full: Callable[[], dict[str, Any]]
    row: Callable[[int], dict[str, Any]]

    def build(self, id: str, **fields: Any) -> Any:
        """Return an item with every field filled."""
        return self.resource.model(**{self.resource.id_field: id, **self.full(), **fields})

    def build_row(self, id: str, number: int) -> Any:
        """Return the nth of many items that share values with each other."""
        return self.resource.model(**{self.resource.id_field: id, **self.row(number)})

    def collection(self, service: CRUDServiceContract) -> CollectionContract[Any]:
        """Return the service's collection of this resource."""
        collection: CollectionContract[Any] = getattr(service, self.resource.collection)
        return collection

    @property
    def sortable(self) -> list[str]:
        """The fields that the declaration says a list can be sorted by."""
        return [column.name for column in self.resource.columns if column.sortable]


def word(number: int) -> str:
    """Return one of a few words, the same ones again and again."""
    return WORDS[number % len(WORDS)]


def name(number: int) -> str:
    """Return one of a few words that are not empty."""
    return word(number) or "nameless"


def user_fields() -> dict[str, Any]:
    """Return fields of a user that no other user has."""
    who = new_id()
    return {
        "username": f"Ada {who}",
        "email": f"{who}@example.org",
        "preferences": {"theme": "dark", "nested": {"list": [1, 2.5, None, "\u00e9"]}},
        "settings": {"flags": []},
        "service": "chat",
    }


SAMPLES = (
    Sample(
        CACHE,
        lambda: {"value": {"answer": [42, None]}, "ttl": 600, "tags": ["b", "a"], "service": "answers"},
        lambda number: {
            "value": number,
            "ttl": None if number % 2 else 600,
            "tags": [name(number), name(number // 2)],
            "service": f"svc{number % 2}",
        },
    ),
    Sample(
        USERS,
        user_fields,
        lambda number: {
            "username": f"{name(number)}{new_id().upper() if number % 2 else new_id()}",
            "email": f"{'Upper.' if number % 3 else 'lower.'}{new_id()}@Example.org",
            "service": f"svc{number % 2}",
        },
    ),
    Sample(
        MODELS,
        lambda: {
            "provider": "openai",
            "parameters": {"temperature": 0.2},
            "enabled": False,
            "priority": 7,
            "service": "chat",
        },
        lambda number: {
            "provider": name(number),
            "enabled": number % 3 > 0,
            "priority": number % 4 + 1,
            "service": f"svc{number % 2}",
        },
    ),
    Sample(
        DATASETS,
        lambda: {
            "name": "Corpus",
            "description": "Line 1\nline 2",
            "source": "s3://bucket/key",
            "format": "parquet",
            "size": 123,
            "metadata": {"licence": "CC0"},
            "service": "etl",
        },
        lambda number: {
            "name": name(number // 2),
            "source": word(number),
            "format": word(number // 3),
            "size": SIZES[number % len(SIZES)],
            "service": f"svc{number % 2}",
        },
    ),
    Sample(
        SETTINGS,
        lambda: {
            "setting_value": {"limit": 5},
            "category": "limits",
            "description": "How many",
            "encrypted": False,
            "service": "ops",
        },
        lambda number: {"setting_value": number, "category": word(number // 2), "service": f"svc{number % 2}"},
    ),
)

CACHE_ENTRY, USER, MODEL, DATASET, SETTING = SAMPLES


def own_fields(item: ResourceModel) -> dict[str, Any]:
    """Return what the caller wrote, without the server's fields."""
    return {name: value for name, value in item if name not in item.server_fields}


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal to the kind of their numbers and the sign of a zero."""
    if type(one) is not type(other):
        return False
    match one:
        case dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list():
            return len(one) == len(other) and all(map(same, one, other))
        case float():
            return one == other and math.copysign(1, one) == math.copysign(1, other)
        case _:
            return bool(one == other)
