"""The refusals of ids that are taken, and of those that were."""

from typing import Any

from sarvanom.shared.errors import FieldError, ResourceConflict
from sarvanom.shared.resources import Resource


def id_taken(resource: Resource[Any]) -> ResourceConflict:
    """Return the refusal to create what is there already, or was: what lets somebody in has its id for good."""
    there_is = "There is or was" if resource.grants else "There is"
    message = f"{there_is} {resource.one} with this {resource.id_field} already"
    return ResourceConflict(message, errors=[FieldError(resource.id_field, message)])


def id_used(resource: Resource[Any]) -> ResourceConflict:
    """Return the refusal to create what was there once, where an id is never used again."""
    message = f"There was {resource.one} with this {resource.id_field}, and it is not used again"
    return ResourceConflict(message, errors=[FieldError(resource.id_field, message)])
