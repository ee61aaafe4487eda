"""The first key, without which nobody could make another."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from sarvanom.backends.identity.secret_files import ADMIN_KEY, read_or_make_secret
from sarvanom.backends.storage.contract import Document, Origin, Store, Write
from sarvanom.security.api_keys import digest_of, hint_of, make_key
from sarvanom.services.crud.conflicts import id_taken
from sarvanom.shared.errors import ResourceConflict, SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import PaginationParams
from sarvanom.shared.models.key_models import ApiKey, Role
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import KEYS

ADMINISTRATOR: Final = "key-administrator"
_ORIGIN: Final = Origin("", "installation")
_WHAT: Final = "an administrator's key"
_RETRY_SECONDS: Final = 0.25
_log = structlog.get_logger()


class Administrator:
    """Sees to it that there is an administrator's key: the one that was set, or else one if there is none at all.

    One that is made is written to a file that only its owner can read, and nowhere else.
    """

    def __init__(self, store: Store, given: str | None, folder: Path) -> None:
        self._store = store
        self._given = given
        self._file = folder / ADMIN_KEY
        self._is_there = False

    async def check(self) -> None:
        """Return if the key is there; raises `ServiceUnavailable`."""
        if not self._is_there:
            raise ServiceUnavailable("The administrator's key has not been stored yet")

    async def run(self) -> None:
        """Try until it is there: the database may be away."""
        while True:
            try:
                await self.ensure()
            except (SarvanOMError, OSError) as error:
                _log.warning("the administrator's key has to wait", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def ensure(self) -> None:
        """See to it once.

        Raises:
            SarvanOMError: the store cannot be used.
            SecretFileRefused: the file cannot be trusted.
        """
        if self._given is not None:
            await self._put(self._given)
        elif not (await self._store.list(KEYS, build_query(KEYS, PaginationParams(limit=1)))).bodies:
            await self._make()
        self._is_there = True

    async def _put(self, text: str) -> None:
        """Store the key that was set, unless it is stored already."""
        key = _administrator(text)

        def decide(current: Document | None) -> ApiKey:
            if _has_digest(current, key.digest):
                raise id_taken(KEYS)
            return key

        with suppress(ResourceConflict):
            await self._store.write(Write(KEYS, ADMINISTRATOR, decide, key, _ORIGIN))

    async def _make(self) -> None:
        """Make a key, unless somebody else does so at this moment: then his is the one."""
        revoked = await self._revoked_digest()
        text = await asyncio.to_thread(read_or_make_secret, self._file, lambda: make_key().text, _WHAT)
        if digest_of(text) == revoked:
            self._file.unlink()
            text = await asyncio.to_thread(read_or_make_secret, self._file, lambda: make_key().text, _WHAT)
        key = _administrator(text)

        def decide(current: Document | None) -> ApiKey:
            if current is not None:
                raise id_taken(KEYS)
            return key

        try:
            await self._store.write(Write(KEYS, ADMINISTRATOR, decide, key, _ORIGIN))
        except ResourceConflict:
            if not _has_digest(await self._store.read(KEYS, ADMINISTRATOR), key.digest):
                self._file.unlink(missing_ok=True)

    async def _revoked_digest(self) -> str | None:
        """Return the digest of the administrator's key that was revoked last: it stays so."""
        log = self._store.log
        last = await log.state(KEYS, ADMINISTRATOR, (await log.bounds()).head)
        before = None if last is None or last.previous is None else await log.change(last.previous)
        if before is None or before.body is None:
            return None
        return ApiKey.model_validate_json(before.body).digest


def _has_digest(document: Document | None, digest: str) -> bool:
    return document is not None and ApiKey.model_validate_json(document.body).digest == digest


def _administrator(text: str) -> ApiKey:
    return ApiKey(
        key_id=ADMINISTRATOR, name="administrator", roles=[Role.ADMIN], hint=hint_of(text), digest=digest_of(text)
    )
