"""Access tokens of whatever issuer: our own, and those of outside issuers that are trusted."""

from collections.abc import Callable

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.jose import read_token
from sarvanom.security.oidc import OutsideTokens
from sarvanom.security.verified_tokens import VerifiedToken, VerifiedTokens


class BearerTokens:
    """Verifies a token with the keys of the issuer that it names, once; then it is remembered."""

    def __init__(
        self,
        own: AccessTokens,
        outside: OutsideTokens,
        memory: VerifiedTokens,
        *,
        on_other_name: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take where tokens are from; the first one that our keys signed for another issuer is told of, by its name."""
        if own.issuer in outside.issuers:
            raise ValueError("an outside issuer must not have our own URL")
        self._own = own
        self._outside = outside
        self._memory = memory
        self._on_other_name = on_other_name
        self._has_told = False

    async def verify(self, text: str) -> VerifiedToken:
        """Return what a token says; whether it was revoked since then is another question.

        Raises:
            Unauthorized: nobody who is trusted signed it, or it is not meant for us, or not valid now.
            ServiceUnavailable: its issuer cannot be asked for the key.
        """
        verified = self._memory.get(text)
        if verified is None:
            issuer = read_token(text).claims.get("iss")
            if issuer == self._own.issuer:
                verified = self._own.verify(text)
            else:
                self._tell_of(text, issuer)
                verified = await self._outside.verify(text)
            self._memory.put(text, verified)
        return verified

    def _tell_of(self, text: str, issuer: object) -> None:
        """Tell once that a gateway with our keys goes by another name, which is refused like a stranger's."""
        is_unknown = isinstance(issuer, str) and issuer not in self._outside.issuers
        if not self._has_told and is_unknown and self._own.has_signed(text):
            self._has_told = True
            self._on_other_name(str(issuer))
