"""Sessions as they are kept, and as they travel to the gateway."""

import math
from datetime import datetime
from typing import Final

from sarvanom.security.principals import Principal
from sarvanom.security.refresh_tokens import RefreshFamily
from sarvanom.shared.models.session_models import Session, Standing

LEEWAY: Final = 60
"""Seconds for which a session outlives its tokens: clocks differ."""


def standing_of(principal: Principal, ends_at: datetime | None) -> Standing:
    """Return a principal as it travels to the gateway."""
    services = None if principal.services is None else sorted(principal.services)
    return Standing(subject=principal.subject, scopes=sorted(principal.scopes), services=services, ends_at=ends_at)


def seconds_left(family: RefreshFamily, now: float, lifetime: int) -> int:
    """Return the seconds after which neither the family nor an access token that came with it can be good."""
    return max(lifetime, math.ceil(min(family.idle_expires_at, family.expires_at) - now)) + LEEWAY


def session_of(family: RefreshFamily, key_digest: str | None, account_revision: int | None, ttl: int) -> Session:
    """Return what is kept of a family, and of what it stands on."""
    return Session(
        session_id=family.family_id,
        subject=family.subject,
        client_id=family.client_id,
        scopes=sorted(family.scopes),
        granted_services=None if family.services is None else sorted(family.services),
        digest=family.digest,
        previous_digest=family.previous_digest,
        generation=family.generation,
        begun_at=family.created_at,
        rotated_at=family.rotated_at,
        idle_expires_at=family.idle_expires_at,
        expires_at=family.expires_at,
        key_digest=key_digest,
        account_revision=account_revision,
        ttl=ttl,
    )


def family_in(session: Session) -> RefreshFamily:
    """Return the family that a session keeps."""
    return RefreshFamily(
        family_id=session.session_id,
        subject=session.subject,
        client_id=session.client_id,
        scopes=frozenset(session.scopes),
        services=None if session.granted_services is None else frozenset(session.granted_services),
        digest=session.digest,
        previous_digest=session.previous_digest,
        generation=session.generation,
        created_at=session.begun_at,
        rotated_at=session.rotated_at,
        idle_expires_at=session.idle_expires_at,
        expires_at=session.expires_at,
    )
