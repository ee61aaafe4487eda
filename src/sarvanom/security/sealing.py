"""Sealing and opening the secrets of resources, and what a mask that is sent back stands for."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from sarvanom.security.encryption import KeyMissing, SealBroken, key_id
from sarvanom.security.keyring import Keyring
from sarvanom.security.sealed_text import MEMBER, has_sealed, is_sealed, mask, refuse_planted
from sarvanom.security.secret_places import (
    Open,
    below,
    change_sealed,
    change_secrets,
    find_secrets,
    has_mask,
    keep_secret,
    keep_stored,
    refusal,
    sealed_places,
)
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import MAX_JSON_DEPTH
from sarvanom.shared.models.secret_fields import MASK, Secret
from sarvanom.shared.resources import Resource
from sarvanom.shared.validation import merge_patch

MAX_SECRETS: Final = 100
"""How many secrets a resource may have: each costs more than what else a caller can send in as many bytes."""
_ANEW: Final = "Must be sent anew: what was encrypted is not stored as it is"


class Sealer:
    """Seals by a keyring what the declarations of resources say is secret; resources without secrets are not for it.

    A value is bound to its collection, id and place. Opening raises `KeyMissing` and `SealBroken`.
    """

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    def secrets_of(self, resource: Resource[Any], item: ResourceModel) -> list[Any]:
        """Return what is secret in an item; masks in it stand for what is stored.

        What has a mask is also returned where nothing is to be secret any more: it may stand for what was.
        """
        secret, value = _field(resource, item)
        if secret.flag is None:
            return find_secrets({secret.field: value})
        return [value] if getattr(item, secret.flag) or has_mask(value) else []

    def seal(self, resource: Resource[Any], item: ResourceModel) -> ResourceModel:
        """Return the item with its secrets sealed; those that are sealed stay as they are. The same if it has none.

        Raises:
            ValidationFailed: a secret stands too deep, or there are too many.
        """
        secret, value = _field(resource, item)
        place = f"/{secret.field}"

        def seal(plain: Any, place: str) -> Any:
            return plain if is_sealed(plain) else self._sealed(resource, resource.id_of(item), place, plain)

        if secret.flag is not None:
            sealed = seal(value, place) if getattr(item, secret.flag) else value
        else:
            count = len(find_secrets({secret.field: value}))
            if count > MAX_SECRETS:
                raise refusal(place, f"May hold at most {MAX_SECRETS} secrets, not {count}")
            sealed = change_secrets({secret.field: value}, "", seal)[secret.field] if count else value
        return item if sealed is value else item.model_copy(update={secret.field: sealed})

    def settle(self, resource: Resource[Any], item: ResourceModel, stored: bytes | None) -> ResourceModel:
        """Return the item with what is stored where it holds masks, and everything else sealed.

        Raises:
            ValidationFailed: a mask stands for nothing, or what was encrypted would be stored as it is.
        """
        secret, value = _field(resource, item)
        place = f"/{secret.field}"

        def open(sealed: str, place: str) -> Any:
            return self._opened(resource, resource.id_of(item), sealed, place)

        if secret.flag is None:
            value = self._kept(secret, value, stored, open)
        elif getattr(item, secret.flag):
            value = keep_secret(value, _before(secret, stored), place, open)
        elif is_sealed(value) or (has_mask(value) and is_sealed(_before(secret, stored))):
            raise refusal(place, _ANEW)
        return self.seal(resource, item.model_copy(update={secret.field: value}))

    def merge(
        self, resource: Resource[Any], id: str, stored: bytes, changes: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """Return what is stored with a caller's merge patch applied; what the patch does not reach into stays sealed.

        Raises:
            ValidationFailed: the patch plants something, or would store as it is what was encrypted.
        """
        refuse_planted(to_json(dict(changes)))
        target: dict[str, JsonValue] = from_json(stored)
        secret = _secret(resource)
        reached = changes.get(secret.field)
        if isinstance(reached, dict) and has_sealed(stored):
            place = f"/{secret.field}"
            if secret.flag is not None and changes.get(secret.flag, target.get(secret.flag)) is not True:
                raise refusal(place, _ANEW)
            target[secret.field] = self._opened_where(resource, id, target[secret.field], reached, place)
        merged: Any = merge_patch(target, dict(changes))
        return dict(merged)

    def open(self, resource: Resource[Any], id: str, stored: bytes) -> bytes:
        """Return a stored text with its sealed values opened."""
        if not has_sealed(stored):
            return stored
        body, field = from_json(stored), _secret(resource).field
        body[field] = change_sealed(
            body[field], f"/{field}", lambda sealed, place: self._opened(resource, id, sealed, place)
        )
        return to_json(body)

    def renew(self, resource: Resource[Any], id: str, stored: bytes) -> bytes:
        """Return a stored text with all its secrets sealed by the first key, also those that are not sealed yet."""
        body, secret = from_json(stored), _secret(resource)
        place = f"/{secret.field}"

        def renew(sealed: str, place: str) -> Any:
            if key_id(sealed) == self.keyring.ids[0]:
                return {MEMBER: sealed}
            return self._sealed(resource, id, place, self._opened(resource, id, sealed, place))

        def seal(plain: Any, place: str) -> Any:
            return plain if is_sealed(plain) else self._sealed(resource, id, place, plain)

        value = change_sealed(body[secret.field], place, renew)
        if secret.flag is None:
            value = change_secrets({secret.field: value}, "", seal)[secret.field]
        elif body[secret.flag]:
            value = seal(value, place)
        if value == body[secret.field]:
            return stored
        return to_json({**body, secret.field: value})

    def admit(self, resource: Resource[Any], item: ResourceModel) -> ResourceModel:
        """Return an item of an export, sealed; what is sealed in it must be what we sealed for this place.

        Raises:
            ValidationFailed: it is not, or a mask stands where a secret should.
        """
        secret, value = _field(resource, item)
        place = f"/{secret.field}"
        checked: set[str] = set()

        def check(value: Any, place: str) -> Any:
            if has_mask(value):
                raise refusal(place, f"{MASK} is no secret: export everything to keep secrets")
            if is_sealed(value):
                self._check_opens(resource, resource.id_of(item), value[MEMBER], place)
                checked.add(place)
            return value

        if secret.flag is None:
            change_secrets({secret.field: value}, "", check)
        elif getattr(item, secret.flag):
            check(value, place)
        for sealed in sealed_places(value, place):
            if sealed not in checked:
                raise refusal(sealed, "Is sealed, and no secret stands here")
        refuse_planted(mask(item.to_json()))
        return self.seal(resource, item)

    def _check_opens(self, resource: Resource[Any], id: str, sealed: str, place: str) -> None:
        try:
            self._opened(resource, id, sealed, place)
        except KeyMissing as error:
            raise refusal(place, f"Is sealed by master key {error}, which is not among those of this store") from None
        except SealBroken:
            raise refusal(place, "Does not open: it was changed, or sealed for another place") from None

    def _kept(self, secret: Secret, value: Any, stored: bytes | None, open: Open) -> Any:
        """Return a value with what is stored where it holds masks."""
        given = {secret.field: value}
        if not any(map(has_mask, find_secrets(given))):
            return value
        return keep_stored(given, {secret.field: _before(secret, stored)}, "", open)[secret.field]

    def _opened_where(self, resource: Resource[Any], id: str, target: Any, patch: Any, place: str) -> Any:
        """Open what a patch merges into."""
        if is_sealed(target):
            return self._opened(resource, id, target[MEMBER], place)
        if not isinstance(target, dict):
            return target
        return {
            name: self._opened_where(resource, id, item, patch[name], below(place, name))
            if isinstance(patch.get(name), dict)
            else item
            for name, item in target.items()
        }

    def _sealed(self, resource: Resource[Any], id: str, place: str, plain: Any) -> dict[str, JsonValue]:
        if place.count("/") > MAX_JSON_DEPTH:
            raise refusal(place, f"A secret must be nested less than {MAX_JSON_DEPTH} deep")
        return {MEMBER: self.keyring.seal(to_json(plain), _context(resource, id, place))}

    def _opened(self, resource: Resource[Any], id: str, sealed: str, place: str) -> Any:
        try:
            return from_json(self.keyring.open(sealed, _context(resource, id, place)))
        except SealBroken:
            raise SealBroken(f"{resource.collection}/{id}{place}") from None


def _secret(resource: Resource[Any]) -> Secret:
    assert resource.secret is not None  # noqa: S101 (a sealer is asked about nothing else)
    return resource.secret


def _field(resource: Resource[Any], item: ResourceModel) -> tuple[Secret, Any]:
    secret = _secret(resource)
    return secret, getattr(item, secret.field)


def _before(secret: Secret, stored: bytes | None) -> Any:
    """Return what is stored in the secret's field, if anything is."""
    return None if stored is None else from_json(stored)[secret.field]


def _context(resource: Resource[Any], id: str, place: str) -> bytes:
    return to_json([resource.collection, id, place])
