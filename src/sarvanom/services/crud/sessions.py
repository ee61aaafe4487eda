"""Sessions: begun for a password or a key, gone on with by refresh tokens, and over when what they stand on is.

There is a session as long as anything that was issued for it is good; one that is revoked is deleted. It stands on an
account as it was at one revision, so that any change of the account ends it, or on the text of a key.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from sarvanom.backends.storage.contract import Document, Write
from sarvanom.security.api_keys import KEY_ID_PREFIX
from sarvanom.security.grants import key_end, principal_of_account, principal_of_key
from sarvanom.security.oauth import OAuthError, invalid_client, invalid_grant, narrow_scopes
from sarvanom.security.passwords import Passwords
from sarvanom.security.principals import Principal
from sarvanom.security.refresh_tokens import (
    Redeemed,
    Redemption,
    RefreshTokens,
    Reused,
    family_of,
)
from sarvanom.services.crud.key_directory import KeyDirectory
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.session_records import LEEWAY, family_in, seconds_left, session_of, standing_of
from sarvanom.shared.errors import ResourceNotFound, SarvanOMError
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.key_models import ApiKey
from sarvanom.shared.models.session_models import Session, SessionAnswer, SessionEnd, SessionRequest, Standing
from sarvanom.shared.resources import ACCOUNTS, SESSIONS, is_valid_id

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a session stands on."""

    principal: Principal
    key_digest: str | None = None
    account_revision: int | None = None
    ends_at: datetime | None = None


class Sessions:
    """The sessions in a store; passwords are compared here, so that no hash leaves crud."""

    def __init__(
        self,
        store: SealedStore,
        keys: KeyDirectory,
        passwords: Passwords,
        tokens: RefreshTokens,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keys = keys
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    async def open(self, request: SessionRequest) -> SessionAnswer:
        """Begin a session, or go on with the one of a refresh token.

        Raises:
            OAuthError: what was given for it is not valid.
        """
        key = await self._client(request.client_id, request.client_digest)
        if request.grant == "refresh_token":
            return await self._refresh(request)
        if request.grant == "client_credentials":
            if key is None or request.client_digest is None:
                raise invalid_client()
            end = key_end(key, request.client_digest)
            ground = _Ground(principal_of_key(key), key_digest=request.client_digest, ends_at=end)
            return await self._begin(request, ground)
        return await self._begin(request, await self._log_in(request.username, request.password))

    async def find(self, session_id: str) -> Standing | None:
        """Return whom a session speaks for now, or None if it is over."""
        session = await self._read(session_id)
        ground = None if session is None else await self._ground_of(session)
        return None if ground is None else standing_of(ground.principal, ground.ends_at)

    async def end(self, request: SessionEnd) -> None:
        """End the session that a token names, if there is one (RFC 7009, section 2.2).

        Raises:
            OAuthError: the client cannot be authenticated, or the token was issued to another.
        """
        await self._client(request.client_id, request.client_digest)
        id = request.session_id if request.refresh_token is None else family_of(request.refresh_token)
        session = None if id is None else await self._read(id)
        if session is None:
            return
        if request.refresh_token is not None and not self._tokens.knows(family_in(session), request.refresh_token):
            return
        if session.client_id != request.client_id:
            raise invalid_grant()
        await self._delete(session.session_id)

    async def _client(self, client_id: str, digest: str | None) -> ApiKey | None:
        """Return the key by which a client proves itself; who has none must not call himself like one."""
        if digest is None:
            # Nobody looks whether there is such a key, so that the answer does not tell.
            if client_id.casefold().startswith(KEY_ID_PREFIX):
                raise invalid_client()
            return None
        key = await self._find_key(digest)
        if key is None or key.key_id != client_id:
            raise invalid_client()
        return key

    async def _find_key(self, digest: str) -> ApiKey | None:
        """Return the key whose text has a digest, if that is good now."""
        body = await self._keys.find(digest)
        key = None if body is None else ApiKey.model_validate_json(body)
        end = None if key is None else key_end(key, digest)
        return None if end is not None and end <= datetime.fromtimestamp(self._clock(), UTC) else key

    async def _log_in(self, name: str, password: str) -> _Ground:
        """Return whose name and password these are; whatever is wrong, it takes the same work and says the same."""
        found = await self._account(name)
        account, document = found or (None, None)
        stored = None if account is None else str(account.password)
        verification = await self._passwords.verify(password, stored)
        if account is None or document is None or not verification.is_right or account.disabled:
            raise invalid_grant()
        revision = document.revision
        if verification.new_hash is not None:
            revision = await self._rehash(account, revision, verification.new_hash)
        return _Ground(principal_of_account(account), account_revision=revision)

    async def _account(self, id: str) -> tuple[Account, Document] | None:
        """Return an account with its hash in plain."""
        document = await self._store.inner.read(ACCOUNTS, id) if is_valid_id(id) else None
        if document is None:
            return None
        return Account.model_validate_json(self._store.open(ACCOUNTS, document).body), document

    async def _rehash(self, account: Account, revision: int, new_hash: str) -> int:
        """Keep a hash of today's cost, unless the account was changed; return the revision that then is the one."""

        def decide(current: Document | None) -> Account:
            if current is None or current.revision != revision:
                raise ResourceNotFound("The account was changed meanwhile")
            return account.model_copy(update={"password": new_hash})

        try:
            return (await self._store.write(Write(ACCOUNTS, account.account_id, decide))).revision
        except SarvanOMError:
            return revision

    async def _begin(self, request: SessionRequest, ground: _Ground) -> SessionAnswer:
        scopes = None if request.scopes is None else frozenset(request.scopes)
        principal = ground.principal
        principal = Principal(principal.subject, narrow_scopes(scopes, principal.scopes), principal.services)
        family, token = self._tokens.start(principal, client_id=request.client_id, now=self._clock())
        has_refresh = ground.account_revision is not None
        ttl = seconds_left(family, self._clock(), request.lifetime) if has_refresh else request.lifetime + LEEWAY
        session = session_of(family, ground.key_digest, ground.account_revision, ttl)
        await self._store.write(Write(SESSIONS, session.session_id, lambda _: session, session))
        standing = standing_of(principal, ground.ends_at)
        return SessionAnswer(
            session_id=family.family_id, standing=standing, refresh_token=token if has_refresh else None
        )

    async def _refresh(self, request: SessionRequest) -> SessionAnswer:
        session_id = family_of(request.refresh_token)
        session = None if session_id is None else await self._read(session_id)
        if session is None or not self._tokens.knows(family_in(session), request.refresh_token):
            raise invalid_grant()
        ground = await self._ground_of(session)
        if ground is None:
            await self._delete(session.session_id)
            raise invalid_grant()
        principal = ground.principal
        scopes = None if request.scopes is None else frozenset(request.scopes)
        narrowed = narrow_scopes(scopes, principal.scopes)
        redemption = await self._redeem(session.session_id, request)
        if not isinstance(redemption, Redeemed):
            if isinstance(redemption, Reused):
                _log.warning("a refresh token was used again: its session is over", subject=session.subject)
            raise invalid_grant()
        return SessionAnswer(
            session_id=session.session_id,
            standing=standing_of(Principal(principal.subject, narrowed, principal.services), None),
            refresh_token=redemption.token,
        )

    async def _redeem(self, session_id: str, request: SessionRequest) -> Redemption:
        """Judge a refresh token inside the transaction that stores what follows from it."""
        outcome: list[Redemption] = []

        def decide(current: Document | None) -> Session | None:
            if current is None:
                raise invalid_session()
            session, now = Session.model_validate_json(current.body), self._clock()
            found = self._tokens.redeem(family_in(session), request.refresh_token, client_id=request.client_id, now=now)
            outcome[:] = [found]
            if isinstance(found, Reused):
                return None
            if not isinstance(found, Redeemed) or found.repeated:
                raise invalid_session()
            ttl = seconds_left(found.family, now, request.lifetime)
            return session_of(found.family, session.key_digest, session.account_revision, ttl)

        try:
            await self._store.write(Write(SESSIONS, session_id, decide))
        except ResourceNotFound:
            if not outcome:
                raise invalid_grant() from None
        return outcome[0]

    async def _ground_of(self, session: Session) -> _Ground | None:
        """Return what a session stands on, if it does so still, and what that and the session allow."""
        if session.key_digest is not None:
            key = await self._find_key(session.key_digest)
            if key is None:
                return None
            end = key_end(key, session.key_digest)
            return _Ground(_within(session, principal_of_key(key)), key_digest=session.key_digest, ends_at=end)
        document = await self._store.read(ACCOUNTS, session.subject.removeprefix("user:"))
        if document is None or document.revision != session.account_revision:
            return None
        principal = principal_of_account(Account.model_validate_json(document.body))
        return _Ground(_within(session, principal), account_revision=document.revision)

    async def _read(self, session_id: str) -> Session | None:
        document = await self._store.read(SESSIONS, session_id) if is_valid_id(session_id) else None
        return None if document is None else Session.model_validate_json(document.body)

    async def _delete(self, session_id: str) -> None:
        def decide(current: Document | None) -> None:
            if current is None:
                raise invalid_session()

        with suppress(ResourceNotFound):
            await self._store.write(Write(SESSIONS, session_id, decide))


def _within(session: Session, principal: Principal) -> Principal:
    """Return what a session was granted of what a principal may do now."""
    return Principal(principal.subject, principal.scopes.intersection(session.scopes), principal.services)


def invalid_session() -> ResourceNotFound:
    """Return the refusal to write, where there is nothing to write."""
    return ResourceNotFound("The session is over")


def error_answer(error: OAuthError) -> SessionAnswer:
    """Return an OAuth error as it travels to the gateway."""
    return SessionAnswer(error=error.error, error_description=error.description)
