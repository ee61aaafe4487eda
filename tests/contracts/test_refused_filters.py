"""Filters that a collection does not declare, and values that they cannot be compared with, are refused."""

from datetime import datetime
from typing import Any

import pytest

from sarvanom.shared.contracts.service_contracts import CollectionContract, CRUDServiceContract
from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams, FilterValue

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNKNOWN_FILTERS = (
    "nonsense",
    "service__contains",
    "service__gte",
    "service__",
    "service__IN",
    "created_at",
    "created_at__in",
    "created_at__prefix",
    "revision__prefix",
    "preferences",
    "settings",
    "description",
    "body",
    "expires_at",
    "rowid",
    "__class__",
    "",
    "\u00e9",
)
BAD_VALUES: tuple[tuple[str, FilterValue], ...] = (
    ("priority__gte", "many"),
    ("priority__gte", "1.5"),
    ("priority", "1_0"),
    ("priority", " 1"),
    ("priority", ""),
    ("priority", 2**53),
    ("priority", -(2**64)),
    ("priority__in", ["1", "x"]),
    ("priority__in", '1,"2'),
    ("enabled", "yes"),
    ("enabled", 1),
    ("enabled", "True"),
    ("created_at__gte", "yesterday"),
    ("created_at__gte", datetime(2020, 1, 1)),  # noqa: DTZ001 (that it has no zone is the point)
    ("created_at__gte", "2020-01-01T00:00:00"),
    ("provider", "x" * 5000),
    ("provider__in", ["x"] * 101),
    ("model_name__prefix", "x" * 5000),
)


async def test_unknown_filter_is_refused(collection: CollectionContract[Any]) -> None:
    for name in UNKNOWN_FILTERS:
        with pytest.raises(ValidationFailed) as caught:
            await collection.list(None, FilterParams(**{name: "x"}))
        assert {error.field.removesuffix(".0") for error in caught.value.errors} == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", 1), ("skip", 1), ("cursor", "x"), ("sort", "user_id"), ("include_total", True), ("fields", "user_id")],
)
async def test_parameter_of_a_page_is_no_filter(service: CRUDServiceContract, name: str, value: FilterValue) -> None:
    with pytest.raises(ValidationFailed):
        await service.users.list(None, FilterParams(**{name: value}))


async def test_filter_with_a_bad_value_is_refused(service: CRUDServiceContract) -> None:
    for name, value in BAD_VALUES:
        with pytest.raises(ValidationFailed) as caught:
            await service.models.list(None, FilterParams(**{name: value}))
        assert {error.field.partition(".")[0] for error in caught.value.errors} == {name}, value


async def test_filter_with_half_a_surrogate_pair_is_refused(service: CRUDServiceContract) -> None:
    """Such a text is none that a query string can carry."""
    for filters in (FilterParams(username="\ud800"), FilterParams(service__in=["\ud800"])):
        with pytest.raises(ValidationFailed):
            await service.users.list(None, filters)
