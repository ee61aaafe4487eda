"""API keys that are made and rotated here, since their secrets follow from the installation's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from sarvanom.backends.storage.contract import Document, Origin, Write, Written
from sarvanom.security.api_keys import NewKey, derive_api_key, digest_of, hint_of, make_key
from sarvanom.security.derived_keys import derive_key
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import scopes_of
from sarvanom.services.crud.collections import StoredCollection
from sarvanom.services.crud.conflicts import id_taken, id_used
from sarvanom.services.crud.tenancy import tenancy_of
from sarvanom.shared.errors import FieldError, Forbidden, ValidationFailed
from sarvanom.shared.models.key_models import ApiKey, Granted, Rotation
from sarvanom.shared.resources import format_timestamp
from sarvanom.shared.validation import parse_model

_PURPOSE: Final = "api key"


class Issued(NamedTuple):
    """What was stored of a key, and its text, which is not."""

    written: Written
    text: str


class KeyIssuer:
    """Makes keys; a request that is repeated under its Idempotency-Key gets the same one again.

    Nobody grants more than it has.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key = derive_key(secret, _PURPOSE)
        self._clock = clock

    async def create(
        self,
        collection: StoredCollection[Any],
        item: ApiKey,
        principal: Principal,
        idempotency_key: str | None,
        origin: Origin,
    ) -> Issued:
        """Store a new key.

        Raises:
            Forbidden: it may do what the principal may not.
            ValidationFailed: it would have ended already.
            ResourceConflict: the same request was made once, before its Idempotency-Key was forgotten.
        """
        self.grant_check(principal)(item)
        item = tenancy_of(principal).owned(item)
        made = self._make(principal, idempotency_key, "create")
        key = item.model_copy(
            update={
                "key_id": made.id,
                "hint": hint_of(made.text),
                "digest": digest_of(made.text),
                "previous_digest": None,
                "previous_expires_at": None,
            }
        )
        resource = collection.resource
        bounds = await collection.store.log.bounds()
        was_here = await collection.store.log.state(resource, made.id, bounds.head) is not None

        def decide(current: Document | None) -> ApiKey:
            if current is not None:
                raise id_taken(resource)
            if was_here:
                raise id_used(resource)  # a key that was revoked stays so
            if key.expires_at is not None and key.expires_at <= self._clock():
                message = "Must be in the future"
                raise ValidationFailed("The key would have ended already", errors=[FieldError("expires_at", message)])
            return key

        return Issued(await collection.store.write(Write(resource, made.id, decide, key, origin)), made.text)

    async def rotate(
        self,
        collection: StoredCollection[Any],
        id: str,
        rotation: Rotation,
        principal: Principal,
        idempotency_key: str | None,
        origin: Origin,
    ) -> Issued:
        """Give a key a new secret, and let the one before end when the overlap does.

        Raises:
            ResourceNotFound: there is no such key.
            Forbidden: it may do what the principal may not.
        """
        made = self._make(principal, idempotency_key, "rotate", id)
        check, tenancy = self.grant_check(principal), tenancy_of(principal)
        overlap = timedelta(seconds=rotation.overlap_seconds)
        until = format_timestamp(self._clock() + overlap) if overlap else None

        def decide(current: Document | None) -> ApiKey:
            current = tenancy.visible(current)
            if current is None:
                raise collection.not_found(id)
            stored = from_json(current.body)
            stored["previous_digest"] = stored["digest"] if until is not None else None
            stored["previous_expires_at"] = until
            stored |= {"digest": digest_of(made.text), "hint": hint_of(made.text)}
            rotated: ApiKey = parse_model(collection.resource.write_model, to_json(stored))
            check(rotated)
            return rotated

        return Issued(await collection.store.write(Write(collection.resource, id, decide, origin=origin)), made.text)

    def grant_check(self, principal: Principal) -> Callable[[Granted], None]:
        """Return the check that a key or an account may do no more than a principal; it raises `Forbidden`."""

        def check(key: Granted) -> None:
            if excess := scopes_of(key.roles, key.scopes) - principal.scopes:
                raise Forbidden(f"Nobody grants more than it has; the caller lacks {', '.join(sorted(excess))}")
            if principal.services is None:
                return
            if key.services is None or not principal.services.issuperset(key.services):
                raise Forbidden("Nobody grants more than it has; the caller is bound to other services")

        return check

    def _make(self, principal: Principal, idempotency_key: str | None, *purpose: str) -> NewKey:
        if idempotency_key is None:
            return make_key()
        return derive_api_key(self._key, principal.subject, idempotency_key, *purpose)
