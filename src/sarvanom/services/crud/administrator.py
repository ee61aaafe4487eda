"""The first key, without which nobody could make another."""

import asyncio
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
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
from sarvanom.shared.validation import parse_model

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
        """Store the key that was set, unless it is stored already, and may do what it has to."""
        key = _administrator(text)

        def decide(current: Document | None) -> ApiKey:
            if current is not None and _kept(current.body) == _kept(key.to_json()):
                raise id_taken(KEYS)
            return key

        with suppress(ResourceConflict):
            await self._store.write(Write(KEYS, ADMINISTRATOR, decide, key, _ORIGIN))

    async def _make(self) -> None:
        """Make a key, unless somebody else does so at this moment: then his is the one."""
        if await self._may_have_existed():
            await self._renew()
            return
        text = await asyncio.to_thread(read_or_make_secret, self._file, _make_text, _WHAT)
        if not await self._create(_administrator(text)):
            current = await self._store.read(KEYS, ADMINISTRATOR)
            if not _has_digest(current, digest_of(text)):
                self._file.unlink(missing_ok=True)

    async def _renew(self) -> None:
        """Make a key whatever the file holds: that may be the text of one that was revoked or rotated away."""
        made = self._file.with_name(f"{self._file.name}.{token_hex(8)}")
        text = await asyncio.to_thread(read_or_make_secret, made, _make_text, _WHAT)
        try:
            if await self._create(_administrator(text)):
                made.replace(self._file)
        finally:
            made.unlink(missing_ok=True)

    async def _create(self, key: ApiKey) -> bool:
        """Store the key if there is none; return whether it was stored."""

        def decide(current: Document | None) -> ApiKey:
            if current is not None:
                raise id_taken(KEYS)
            return key

        try:
            await self._store.write(Write(KEYS, ADMINISTRATOR, decide, key, _ORIGIN))
        except ResourceConflict:
            return False
        return True

    async def _may_have_existed(self) -> bool:
        """Tell whether the store ever had an administrator's key, or nobody can tell because its log was compacted."""
        bounds = await self._store.log.bounds()
        return bounds.floor > 0 or await self._store.log.state(KEYS, ADMINISTRATOR, bounds.head) is not None


def _make_text() -> str:
    return make_key().text


def _kept(body: bytes) -> bytes:
    """Return all of a key but what is stamped."""
    return parse_model(KEYS.write_model, body).to_json()


def _has_digest(document: Document | None, digest: str) -> bool:
    return document is not None and ApiKey.model_validate_json(document.body).digest == digest


def _administrator(text: str) -> ApiKey:
    return ApiKey(
        key_id=ADMINISTRATOR, name="administrator", roles=[Role.ADMIN], hint=hint_of(text), digest=digest_of(text)
    )
