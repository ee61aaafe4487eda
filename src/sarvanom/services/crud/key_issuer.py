"""API keys that are made and rotated here, since their secrets follow from the installation's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from sarvanom.backends.storage.contract import Document, Origin, Write, Written
from sarvanom.security.api_keys import derive_api_key, digest_of, hint_of, make_key
from sarvanom.security.derived_keys import derive_key
from sarvanom.security.principals import Principal
from sarvanom.services.crud.authority import authority_of
from sarvanom.services.crud.collections import StoredCollection
from sarvanom.services.crud.conflicts import id_taken
from sarvanom.services.crud.tenancy import tenancy_of
from sarvanom.shared.errors import FieldError, ResourceConflict, RevisionCompacted, ValidationFailed
from sarvanom.shared.models.key_models import ApiKey, Rotation
from sarvanom.shared.resources import format_timestamp
from sarvanom.shared.validation import parse_model

_PURPOSE: Final = "api key"


class Issued(NamedTuple):
    """What was stored of a key, and its text, which is not."""

    written: Written
    text: str


class KeyIssuer:
    """Makes keys; a request that is repeated under its Idempotency-Key gets the same one again.

    The text of a key follows from what is stored of its creation or rotation, which no later one has in common with it:
    when the Idempotency-Key has been forgotten, the request gives another text, and one that ended stays so.
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
            Forbidden: it may do what the principal may not, or for longer.
            ValidationFailed: it would have ended already.
            ResourceConflict: the request was carried out before, and what it gave cannot be told again.
        """
        (await authority_of(collection.store, principal)).check(item)
        item = tenancy_of(principal).owned(item)
        id = make_key().id
        text = self._text(principal, idempotency_key, "create", id)
        made = {"key_id": id, "previous_digest": None, "previous_expires_at": None}
        key = item.model_copy(update=made | {"hint": hint_of(text), "digest": digest_of(text)})

        def decide(current: Document | None) -> ApiKey:
            if current is not None:
                raise id_taken(collection.resource)
            if key.expires_at is not None and key.expires_at <= self._clock():
                message = "Must be in the future"
                raise ValidationFailed("The key would have ended already", errors=[FieldError("expires_at", message)])
            return key

        # Without its item: the outcome is then kept with the Idempotency-Key, and with it the id that was made.
        written = await collection.store.write(Write(collection.resource, id, decide, origin=origin))
        if not written.is_replay:
            return Issued(written, text)
        first = _stored(written)["key_id"]
        return _repeated(written, first, self._text(principal, idempotency_key, "create", first))

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
            Forbidden: it may do what the principal may not, or for longer.
            ResourceConflict: the request was carried out before, and what it gave cannot be told again.
        """
        authority, tenancy = await authority_of(collection.store, principal), tenancy_of(principal)
        overlap = timedelta(seconds=rotation.overlap_seconds)
        until = format_timestamp(self._clock() + overlap) if overlap else None
        told: list[str] = []

        def decide(current: Document | None) -> ApiKey:
            current = tenancy.visible(current)
            if current is None:
                raise collection.not_found(id)
            stored = from_json(current.body)
            text = self._text(principal, idempotency_key, "rotate", id, stored["digest"])
            stored["previous_digest"] = stored["digest"] if until is not None else None
            stored["previous_expires_at"] = until
            stored |= {"digest": digest_of(text), "hint": hint_of(text)}
            rotated: ApiKey = parse_model(collection.resource.write_model, to_json(stored))
            authority.check(rotated)  # which may do what it might before
            told[:] = [text]
            return rotated

        written = await collection.store.write(Write(collection.resource, id, decide, origin=origin))
        if not written.is_replay:
            return Issued(written, told[0])
        before = await self._digest_before(collection, id, written.revision)
        return _repeated(written, id, self._text(principal, idempotency_key, "rotate", id, before))

    async def _digest_before(self, collection: StoredCollection[Any], id: str, revision: int) -> str:
        try:
            before = await collection.store.log.state(collection.resource, id, revision - 1)
        except RevisionCompacted:
            raise _untold() from None
        if before is None or before.body is None:
            raise _untold()
        return str(from_json(before.body)["digest"])

    def _text(self, principal: Principal, idempotency_key: str | None, *purpose: str) -> str:
        if idempotency_key is None:
            return make_key().text
        return derive_api_key(self._key, principal.subject, idempotency_key, *purpose).text


def _stored(written: Written) -> dict[str, Any]:
    assert written.document is not None  # noqa: S101 (something was stored)
    stored: dict[str, Any] = from_json(written.document.body)
    return stored


def _repeated(written: Written, id: str, text: str) -> Issued:
    """Return what a request gave before, if this is the text whose digest was stored then."""
    if _stored(written)["digest"] != digest_of(text):
        raise _untold()
    assert written.document is not None  # noqa: S101 (something was stored)
    return Issued(written._replace(document=written.document._replace(id=id)), text)


def _untold() -> ResourceConflict:
    """Return the refusal to tell a text that does not follow any more from what is known."""
    return ResourceConflict("This request was carried out before, and its key cannot be told again: rotate it")
