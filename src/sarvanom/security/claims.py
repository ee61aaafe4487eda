"""What a token's claims say (RFC 7519, section 4), each checked for its type before it is believed."""

from typing import Any, Final, NamedTuple

from sarvanom.security.jose import invalid_token, malformed_token

_MAX_LENGTH: Final = 512
"""Of a text; a user's id has up to 255 characters, and a prefix stands before it."""
_MAX_SECONDS: Final = 2**53


class Times(NamedTuple):
    """When a token was issued, if it says so, and when it expires, in Unix seconds."""

    issued_at: int | None
    expires_at: int


def check_times(claims: dict[str, Any], *, now: float, leeway: float) -> Times:
    """Return a token's times, if `now` is within its life (RFC 7519, section 4.1); `exp` is required.

    Raises:
        Unauthorized: it has expired, is not valid yet, or names times that are none.
    """
    issued_at, begins, expires_at = (_seconds(claims, name) for name in ("iat", "nbf", "exp"))
    if expires_at is None:
        raise malformed_token()
    if now >= expires_at + leeway:
        raise invalid_token("The access token has expired")
    if max(issued_at or 0, begins or 0) > now + leeway:
        raise invalid_token("The access token is not valid yet")
    return Times(None if issued_at is None else int(issued_at), int(expires_at))


def text_claim(claims: dict[str, Any], name: str) -> str:
    """Return a claim that has to be a text of 1 to 512 printable ASCII characters, fit for a log.

    Raises:
        Unauthorized: it is absent, or something else.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_LENGTH or not is_plain(value):
        raise malformed_token()
    return value


def audiences(claims: dict[str, Any]) -> frozenset[str]:
    """Return whom the token is meant for: one text, or a list of them.

    Raises:
        Unauthorized: it is neither.
    """
    value = claims.get("aud")
    return names_claim([value] if isinstance(value, str) else value)


def is_plain(text: str) -> bool:
    """Tell whether a text is printable ASCII, which may stand in a log as it is."""
    return text.isascii() and text.isprintable()


def names_claim(value: object) -> frozenset[str]:
    """Return the names that a claim lists, which has to be a list of texts.

    Raises:
        Unauthorized: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise malformed_token()
    return frozenset(value)


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate, if the claim is there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_SECONDS:
        raise malformed_token()
    return value
