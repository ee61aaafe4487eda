"""Whom keys and accounts speak for, and until when."""

from datetime import datetime

from sarvanom.security.principals import Principal
from sarvanom.security.scopes import scopes_of
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.key_models import ApiKey, Granted


def principal_of_key(key: ApiKey) -> Principal:
    """Return whom a key speaks for."""
    return _principal(f"key:{key.key_id}", key)


def principal_of_account(account: Account) -> Principal:
    """Return whom a login speaks for."""
    return _principal(f"user:{account.account_id}", account)


def key_end(key: ApiKey, digest: str) -> datetime | None:
    """Return when the text that has this digest ends: with the key, or with the overlap of a rotation."""
    ends = [key.expires_at] if key.digest == digest else [key.expires_at, key.previous_expires_at]
    return min((end for end in ends if end is not None), default=None)


def _principal(subject: str, granted: Granted) -> Principal:
    services = None if granted.services is None else frozenset(granted.services)
    return Principal(subject, scopes_of(granted.roles, granted.scopes), services)
