"""What callers are told of their limits.

`RateLimit` and `RateLimit-Policy` are those of draft-ietf-httpapi-ratelimit-headers-11, the `x-ratelimit-` ones those
that clients of OpenAI's API read.
"""

from functools import lru_cache
from typing import Final

from sarvanom.security.limits import Rule
from sarvanom.shared.quotas import Quota, Unit, Verdict
from sarvanom.web.calls import Headers

_MINUTE: Final = 60


def limit_headers(rule: Rule, verdict: Verdict) -> Headers:
    """Return the headers of an answer; a refusal tells of the quota that refused alone."""
    policy, limit = _constant(rule)
    if policy is None:
        return []
    headers = [policy]
    if verdict.balances:
        items = [f'"{quota.name}";r={left};t={more_in}' for quota, left, more_in in verdict.balances]
        headers.append((b"ratelimit", ", ".join(items).encode()))
        quota, left, more_in = verdict.balances[0]
        if limit is not None and quota is rule.requests:
            headers += (
                limit,
                (b"x-ratelimit-remaining-requests", b"%d" % left),
                (b"x-ratelimit-reset-requests", _duration(more_in)),
            )
    return headers


@lru_cache(maxsize=64)
def _constant(rule: Rule) -> tuple[tuple[bytes, bytes] | None, tuple[bytes, bytes] | None]:
    """Return the policy and the limit of requests, which are the same for every request under a rule."""
    quotas = [quota for quota in (rule.requests, rule.places, rule.bytes) if quota is not None]
    policy = ", ".join(map(_policy_item, quotas)).encode()
    limit = None if rule.requests is None else (b"x-ratelimit-limit-requests", b"%d" % rule.requests.amount)
    return (b"ratelimit-policy", policy) if policy else None, limit


def _policy_item(quota: Quota) -> str:
    item = f'"{quota.name}";q={quota.amount}'
    if quota.unit is not Unit.REQUESTS:
        item += f';qu="{quota.unit}"'
    return item if quota.unit is Unit.CONCURRENT else f"{item};w={quota.seconds}"


def _duration(seconds: int) -> bytes:
    """Return a time as OpenAI's API writes it: 7s, 1m0s."""
    minutes, rest = divmod(seconds, _MINUTE)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest
