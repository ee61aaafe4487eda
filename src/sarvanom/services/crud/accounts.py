"""Passwords on their way into accounts: checked, and hashed before anything is kept."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from sarvanom.security.passwords import Passwords, check_password
from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.secret_fields import MASK
from sarvanom.shared.resources import Resource


class HashedFields:
    """Puts the hash of a password in its place, in the fields that resources declare."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def item[M](self, resource: Resource[Any], item: M) -> M:
        """Return a new item as it is to be kept; raises `ValidationFailed`."""
        if resource.hashed is None:
            return item
        hashed = await self._hash(resource, resource.id_of(item), getattr(item, resource.hashed))
        copied: M = item.model_copy(update={resource.hashed: hashed})  # type: ignore[attr-defined] # a resource's model
        return copied

    async def patch(
        self, resource: Resource[Any], id: str, changes: Mapping[str, JsonValue]
    ) -> Mapping[str, JsonValue]:
        """Return a merge patch as it is to be applied; a mask keeps what is stored. Raises `ValidationFailed`."""
        if resource.hashed is None or resource.hashed not in changes or changes[resource.hashed] == MASK:
            return changes
        return {**changes, resource.hashed: await self._hash(resource, id, changes[resource.hashed])}

    async def _hash(self, resource: Resource[Any], id: str, password: object) -> str:
        if not isinstance(password, str):
            field = resource.hashed or ""
            raise ValidationFailed("The password cannot be used", errors=[FieldError(field, "Must be text")])
        check_password(password, context=[id])
        return await self._passwords.hash(password)
