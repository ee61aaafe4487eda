"""Which cache entries an invalidation removes."""

from pydantic import BaseModel, ConfigDict

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams
from sarvanom.shared.models.fields import Name
from sarvanom.shared.queries import Condition
from sarvanom.shared.query_strings import build_query, parse_parameters, validate_parameters
from sarvanom.shared.resources import CACHE


class InvalidationParams(BaseModel):
    """The query parameters of an invalidation; at least one must be given, and all that are given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    tag: Name | None = None
    """Entries that bear this tag."""
    service: Name | None = None
    """Entries that belong to this service."""


def parse_invalidation(query_string: bytes) -> tuple[Condition, ...]:
    """Return the conditions that a raw query string asks for; raises `ValidationFailed`."""
    return _conditions(parse_parameters(InvalidationParams, query_string))


def build_invalidation(*, tag: str | None, service: str | None) -> tuple[Condition, ...]:
    """Return the conditions that these values ask for; the same rules hold as over HTTP."""
    given = {"tag": tag, "service": service}
    values = {name: value for name, value in given.items() if value is not None}
    return _conditions(validate_parameters(InvalidationParams, values))


def _conditions(params: InvalidationParams) -> tuple[Condition, ...]:
    """Return the conditions of the entries to remove; the cache is never emptied by accident."""
    filters = FilterParams()
    if params.tag is not None:
        filters = filters.with_conditions(tags__contains=[params.tag])
    if params.service is not None:
        filters = filters.with_conditions(service=params.service)
    if not filters.conditions:
        message = "Give a tag, a service or both; the whole cache is not deleted at once"
        raise ValidationFailed("The query parameters are not valid", errors=[FieldError("tag", message)])
    return build_query(CACHE, filters=filters).conditions
