"""Who may ask how much: classes of routes, callers, and what each request takes of which quota."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from sarvanom.security.principals import Principal
from sarvanom.shared.quotas import Charge, Demand, Penalty, Quota, Unit

_PROBED: Final = frozenset({"/health", "/health/detailed", "/ready", "/version"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTH_PREFIX: Final = "/auth/"
_WHOLE_STORE: Final = frozenset({"/export", "/import"})
_IPV6_SITE: Final = 64
_LONGEST_SUBJECT: Final = 128
_LONGEST_ADDRESS: Final = 64
_UNKNOWN: Final = "address:unknown"

FAILURES_OF_ATTEMPTS: Final = Penalty(free=5, first=1.0, longest=60.0)
"""How failed logins of one account from one address slow down."""
FAILURES_OF_ACCOUNT: Final = Penalty(free=100, first=1.0, longest=10.0)
"""How those of one account do from all addresses from which nobody has logged in to it: 8,640 a day at the most."""
FAILURES_OF_ADDRESS: Final = Penalty(free=20, first=1.0, longest=900.0)
"""How those from one address do, whatever the accounts."""

_COMMON: Final = (b"", b"*/*", b"application/json")
"""What nearly every request has for a type; none of them is a stream."""


class RouteClass(StrEnum):
    """What a request is, by what it costs."""

    READS = "reads"
    WRITES = "writes"
    BULK = "bulk"
    AUTH = "auth"
    PROBES = "probes"


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """How much a caller may ask for in any minute, and at once; 0 is any amount."""

    reads: int = 0
    writes: int = 0
    bulk: int = 0
    auth: int = 0
    probes: int = 0
    anonymous: int = 0
    """For those who have not said who they are, whatever they ask for."""
    bytes: int = 0
    concurrent: int = 0
    streams: int = 0
    """How many answers or bodies that are streamed go on at once; they are not among `concurrent`."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """The quotas of a class of routes; None is none. Each is equal to itself alone."""

    requests: Quota | None
    bytes: Quota | None
    places: Quota | None
    is_local: bool = False


def route_class(method: str, path: str, accept: bytes = b"", content_type: bytes = b"") -> RouteClass:
    """Return the class of a request; whoever could get a stream for an answer is taken to want one."""
    if method in _READING:
        if path in _PROBED:
            return RouteClass.PROBES
        is_streamed = path in _WHOLE_STORE or _names_stream(accept)
        return RouteClass.BULK if is_streamed else RouteClass.READS
    if path.startswith(_AUTH_PREFIX):
        return RouteClass.AUTH
    return RouteClass.BULK if path in _WHOLE_STORE or _names_stream(content_type) else RouteClass.WRITES


def _names_stream(header: bytes) -> bool:
    if header in _COMMON:
        return False
    lowered = header.lower()
    return b"x-ndjson" in lowered or b"event-stream" in lowered


def caller_at(address: str | None) -> str:
    """Return the key of who calls from an address.

    A site of IPv6 has 2**64 addresses, so its callers count as one. What is no address counts as one caller with all
    the others that are none, so that nobody gets a count of its own by making names up.
    """
    return _caller_at(address) if address and len(address) <= _LONGEST_ADDRESS else _UNKNOWN


@lru_cache(maxsize=4096)
def _caller_at(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return _UNKNOWN
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return f"address:{ip_network((int(found), _IPV6_SITE), strict=False)}"
        found = found.ipv4_mapped
    return f"address:{found}"


def caller_of(principal: Principal | None, address: str | None) -> str:
    """Return the key of a caller: of the proven principal, else of the address."""
    subject = principal.subject if principal is not None else ""
    if not subject:
        return caller_at(address)
    if len(subject) > _LONGEST_SUBJECT or not subject.isascii():
        subject = sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return f"principal:{subject}"


def account_key(account: str) -> str:
    """Return the key of an account that somebody tries to log into; the name itself is not stored."""
    return f"login:{sha256(account.casefold().encode('utf-8', 'surrogatepass')).hexdigest()}"


class LimitRules:
    """The rules that follow from a policy, put together once."""

    def __init__(self, policy: LimitPolicy) -> None:
        """Take the policy."""
        self.bytes = _quota("bytes", policy.bytes, Unit.BYTES)
        few = _quota("concurrent", policy.concurrent, Unit.CONCURRENT)
        streams = _quota("streams", policy.streams, Unit.CONCURRENT)
        auth = Rule(_quota("auth", policy.auth), self.bytes, few)
        probes = Rule(_quota("probes", policy.probes), None, None, is_local=True)
        anonymous = _quota("anonymous", policy.anonymous)
        self._known = {
            RouteClass.READS: Rule(_quota("reads", policy.reads), None, few),
            RouteClass.WRITES: Rule(_quota("writes", policy.writes), self.bytes, few),
            RouteClass.BULK: Rule(_quota("bulk", policy.bulk), self.bytes, streams),
            RouteClass.AUTH: auth,
            RouteClass.PROBES: probes,
        }
        self._unknown = {
            RouteClass.READS: Rule(anonymous, None, few),
            RouteClass.WRITES: Rule(anonymous, self.bytes, few),
            RouteClass.BULK: Rule(anonymous, self.bytes, streams),
            RouteClass.AUTH: auth,
            RouteClass.PROBES: probes,
        }

    def rule(self, found: RouteClass, principal: Principal | None) -> Rule:
        """Return the rule for a class of routes and a caller."""
        return (self._known if principal is not None and principal.subject else self._unknown)[found]


def demand_of(rule: Rule, caller: str, size: int = 0) -> Demand:
    """Return what a request takes whose body is declared to have so many bytes.

    A body that is larger than the whole quota is nobody's who keeps to the size of bodies: that is refused elsewhere.
    """
    demand = _bodiless_demand(rule, caller)
    if size and rule.bytes is not None and size <= rule.bytes.amount:
        charges = (*demand.charges, Charge(rule.bytes, f"bytes:{caller}", size))
        return Demand(charges, demand.place, demand.is_local)
    return demand


@lru_cache(maxsize=4096)
def _bodiless_demand(rule: Rule, caller: str) -> Demand:
    requests, places = rule.requests, rule.places
    charges = () if requests is None else (Charge(requests, f"{requests.name}:{caller}"),)
    return Demand(charges, None if places is None else Charge(places, f"{places.name}:{caller}"), rule.is_local)


def _quota(name: str, amount: int, unit: Unit = Unit.REQUESTS) -> Quota | None:
    return Quota(name, amount, unit) if amount else None
