"""The refusal of an id that is taken."""

from typing import Any

from sarvanom.shared.errors import FieldError, ResourceConflict
from sarvanom.shared.resources import Resource


def id_taken(resource: Resource[Any]) -> ResourceConflict:
    """Return the refusal to create what is there already."""
    message = f"There is {resource.one} with this {resource.id_field} already"
    return ResourceConflict(message, errors=[FieldError(resource.id_field, message)])
