"""The parameters of a page of changes, and of a watch."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sarvanom.shared.changes import ChangeQuery
from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.crud_models import MAX_LIMIT
from sarvanom.shared.models.fields import EXACT_INTEGER, INT32, Count, Name, QueryBool, ResourceId
from sarvanom.shared.query_strings import parse_parameters, validate_parameters
from sarvanom.shared.resources import RESOURCES, Resource

LOGGED = tuple(resource.collection for resource in RESOURCES if resource.is_logged)


class ChangeParams(BaseModel):
    """Which changes to read; all conditions must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    since: Annotated[Count, EXACT_INTEGER] | None = None
    """Changes after this revision. Left out, a list begins with the oldest change held, a watch with the next one."""
    resource: Literal[LOGGED] | None = None  # type: ignore[valid-type]
    """Changes of this collection."""
    id: ResourceId | None = None
    """Changes of the resource with this id; `resource` must say of which collection."""
    service: Name | None = None
    """The log as this service sees it: what comes to it is created, what leaves it is deleted."""
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), INT32, EXACT_INTEGER] = 100
    """At most this many changes; a page also ends early at 16 MiB, or when it has looked through 10,000."""

    def query(self) -> ChangeQuery:
        """Return the changes that these parameters ask for; raises `ValidationFailed`."""
        if self.id is not None and self.resource is None:
            message = f"Also give resource, one of {', '.join(LOGGED)}: ids are unique within it"
            raise ValidationFailed("The query parameters are not valid", errors=[FieldError("id", message)])
        services = None if self.service is None else frozenset({self.service})
        return ChangeQuery(self.since, self.resource, self.id, services, self.limit)


class ReadParams(BaseModel):
    """The query parameters of reading one resource."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at_revision: Annotated[Count, EXACT_INTEGER] | None = None
    """Read the resource as it was when the store was at this revision."""
    reveal: QueryBool = False
    """Show secrets in plain; takes the scope `secrets:read`, and is logged. Only where there may be secrets."""


_NO_PARAMS: Final = ReadParams()


def parse_read(resource: Resource[Any], query_string: bytes) -> ReadParams:
    """Return what a raw query string asks to read; raises `ValidationFailed`."""
    return _checked(resource, parse_parameters(ReadParams, query_string)) if query_string else _NO_PARAMS


def check_read(resource: Resource[Any], **given: Any) -> None:
    """Refuse to read as nobody can, as over HTTP; raises `ValidationFailed`."""
    _checked(resource, validate_parameters(ReadParams, {name: value for name, value in given.items() if value}))


def _checked(resource: Resource[Any], params: ReadParams) -> ReadParams:
    if "reveal" in params.model_fields_set and not resource.is_revealable:
        message = f"{resource.one.capitalize()} has no secrets"
        raise ValidationFailed("The query parameters are not valid", errors=[FieldError("reveal", message)])
    return params


def parse_changes(query_string: bytes) -> ChangeQuery:
    """Return the changes that a raw query string asks for; raises `ValidationFailed`."""
    return parse_parameters(ChangeParams, query_string).query()


def parse_watch(query_string: bytes) -> ChangeQuery:
    """Return the changes that a watch asks for, which has no limit; raises `ValidationFailed`."""
    params = parse_parameters(ChangeParams, query_string)
    if "limit" in params.model_fields_set:
        message = "A watch has no end; leave limit out"
        raise ValidationFailed("The query parameters are not valid", errors=[FieldError("limit", message)])
    return params.query()


def build_changes(**given: Any) -> ChangeQuery:
    """Return the changes that these values ask for, None for what is not given; the same rules hold as over HTTP."""
    values = {name: value for name, value in given.items() if value is not None}
    return validate_parameters(ChangeParams, values).query()
