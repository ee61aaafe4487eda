"""Where an installation's OAuth endpoints are, and what they can do (RFC 8414)."""

from typing import Any, Final

from sarvanom.security.issuer_urls import check_issuer_url
from sarvanom.security.oauth import GrantType
from sarvanom.security.scopes import SCOPES

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
JWKS_PATH: Final = "/.well-known/jwks.json"
TOKEN_PATH: Final = "/auth/token"  # noqa: S105 (a path)
REVOCATION_PATH: Final = "/auth/revoke"
_METHODS: Final = ["client_secret_basic", "client_secret_post", "none"]


def oauth_metadata(issuer: str) -> dict[str, Any]:
    """Return the metadata of an issuer, whose URL is that of the gateway as its clients call it.

    Raises:
        ValueError: the URL is no issuer's.
    """
    check_issuer_url(issuer)
    base = issuer.rstrip("/")
    return {
        "issuer": issuer,
        "token_endpoint": base + TOKEN_PATH,
        "jwks_uri": base + JWKS_PATH,
        "grant_types_supported": sorted(GrantType),
        "response_types_supported": [],
        "scopes_supported": sorted(SCOPES),
        "token_endpoint_auth_methods_supported": _METHODS,
        "revocation_endpoint": base + REVOCATION_PATH,
        "revocation_endpoint_auth_methods_supported": _METHODS,
    }
