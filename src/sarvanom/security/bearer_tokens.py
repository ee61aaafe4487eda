"""Access tokens of whatever issuer: our own, and those of outside issuers that are trusted."""

from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.jose import read_token
from sarvanom.security.oidc import OutsideTokens
from sarvanom.security.verified_tokens import VerifiedToken, VerifiedTokens


class BearerTokens:
    """Verifies a token with the keys of the issuer that it names, once; then it is remembered."""

    def __init__(self, own: AccessTokens, outside: OutsideTokens, memory: VerifiedTokens) -> None:
        if own.issuer in outside.issuers:
            raise ValueError("an outside issuer must not have our own URL")
        self._own = own
        self._outside = outside
        self._memory = memory

    async def verify(self, text: str) -> VerifiedToken:
        """Return what a token says; whether it was revoked since then is another question.

        Raises:
            Unauthorized: nobody who is trusted signed it, or it is not meant for us, or not valid now.
            ServiceUnavailable: its issuer cannot be asked for the key.
        """
        verified = self._memory.get(text)
        if verified is None:
            is_own = read_token(text).claims.get("iss") == self._own.issuer
            verified = self._own.verify(text) if is_own else await self._outside.verify(text)
            self._memory.put(text, verified)
        return verified
