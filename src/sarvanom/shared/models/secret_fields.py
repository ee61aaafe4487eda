"""Which parts of a resource are secrets: declared by name, never guessed by value."""

from dataclasses import dataclass
from typing import Final

MASK: Final = "********"
"""What a secret is read as."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What of a field is secret: all of it where the field `flag` is true; without a flag, what has a secret's name.

    That may be the field itself, or a member at any depth, and is secret whatever it holds, unless it is null.
    """

    field: str
    flag: str | None = None


_MAX_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 64
_NAMES: Final = """
    api_key x_api_key api_secret api_token api_password
    access_key access_key_id secret_access_key session_token
    aws_access_key_id aws_secret_access_key aws_session_token aws_bearer_token
    token access_token auth_token bearer_token refresh_token id_token security_token personal_access_token
    hf_token huggingface_token github_token gitlab_token slack_token bot_token azure_ad_token
    password passwd pwd passphrase db_password database_password azure_password smtp_password proxy_password
    secret secret_key client_secret shared_secret signing_secret webhook_secret app_secret consumer_secret jwt_secret
    private_key private_key_pem signing_key encryption_key master_key account_key subscription_key ssh_key
    ssl_key tls_key client_key
    credential credentials vertex_credentials service_account_key service_account_json
    authorization proxy_authorization x_auth_token cookie
    connection_string database_url
    openai_api_key anthropic_api_key azure_api_key azure_openai_api_key google_api_key gemini_api_key cohere_api_key
    mistral_api_key groq_api_key huggingface_api_key together_api_key replicate_api_token watsonx_api_key
"""


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


SECRET_NAMES: Final = frozenset(_NAMES.split())
"""Names of secrets; case, - and _ make no difference."""
_PLAIN_NAMES: Final = frozenset(map(_plain, SECRET_NAMES))


_harmless: Final = set[str]()
"""The names in `_judged` that are no secrets'."""


class _Judged(dict[str, bool]):
    """Names, and whether they are those of secrets: of late, and none that is long."""

    def __missing__(self, name: str) -> bool:
        is_secret = _plain(name) in _PLAIN_NAMES
        if len(name) <= _LONGEST_REMEMBERED:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()  # whoever sends many names slows nobody down for long
                _harmless.clear()
            self[name] = is_secret
            if not is_secret:
                _harmless.add(name)
        return is_secret


_judged: Final = _Judged()
is_secret_name: Final = _judged.__getitem__
"""Tell whether this is the name of a secret."""
are_harmless: Final = _harmless.issuperset
"""Tell whether all of these names are remembered as no secrets'."""
