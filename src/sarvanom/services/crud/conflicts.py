"""The refusal of an id that is taken."""

from typing import Any

from sarvanom.shared.errors import FieldError, ResourceConflict
from sarvanom.shared.resources import Resource


def id_taken(resource: Resource[Any]) -> ResourceConflict:
    """Return the refusal to create what is there already, or was: what lets somebody in has its id for good."""
    there_is = "There is or was" if resource.grants else "There is"
    message = f"{there_is} {resource.one} with this {resource.id_field} already"
    return ResourceConflict(message, errors=[FieldError(resource.id_field, message)])
