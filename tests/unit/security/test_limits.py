"""What a request is, who asks, and what it takes of which quota."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.limits import (
    LimitPolicy,
    LimitRules,
    RouteClass,
    account_key,
    caller_at,
    caller_of,
    demand_of,
    route_class,
)
from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.shared.quotas import Penalty, Unit

NDJSON = b"application/x-ndjson"
EVENTS = b"text/event-stream"
ADA = Principal("key:ada")
POLICY = LimitPolicy(
    reads=60, writes=50, bulk=40, auth=30, probes=20, anonymous=10, bytes=1000, concurrent=8, streams=4
)


@pytest.mark.parametrize(
    ("method", "path", "accept", "content_type", "found"),
    [
        ("GET", "/users/ada", b"", b"", RouteClass.READS),
        ("HEAD", "/users", b"*/*", b"", RouteClass.READS),
        ("OPTIONS", "/users", b"", b"", RouteClass.READS),
        ("GET", "/changes", b"application/json", b"", RouteClass.READS),
        ("GET", "/changes", EVENTS, b"", RouteClass.BULK),
        ("GET", "/users", b"Application/X-NDJSON; q=0.9, */*;q=0.1", b"", RouteClass.BULK),
        ("GET", "/export", b"", b"", RouteClass.BULK),
        ("POST", "/import", b"", b"", RouteClass.BULK),
        ("POST", "/users", b"", b"application/json", RouteClass.WRITES),
        ("POST", "/users", EVENTS, b"application/json", RouteClass.WRITES),
        ("POST", "/users", b"", b" APPLICATION/x-NDJSON;charset=utf-8", RouteClass.BULK),
        ("PATCH", "/users/ada", b"", b"application/merge-patch+json", RouteClass.WRITES),
        ("DELETE", "/users/ada", b"", b"", RouteClass.WRITES),
        ("BREW", "/users/ada", b"", b"", RouteClass.WRITES),
        ("POST", "/auth/token", b"", b"application/x-www-form-urlencoded", RouteClass.AUTH),
        ("POST", "/auth/token", b"", NDJSON, RouteClass.AUTH),
        ("GET", "/auth/token", b"", b"", RouteClass.READS),
        ("GET", "/health", b"", b"", RouteClass.PROBES),
        ("HEAD", "/ready", b"", b"", RouteClass.PROBES),
        ("GET", "/health/detailed", b"", b"", RouteClass.PROBES),
        ("GET", "/version", EVENTS, b"", RouteClass.PROBES),
        ("POST", "/health", b"", b"", RouteClass.WRITES),
        ("GET", "/health/", b"", b"", RouteClass.READS),
    ],
)
def test_a_request_is_of_one_class(
    method: str, path: str, accept: bytes, content_type: bytes, found: RouteClass
) -> None:
    assert route_class(method, path, accept, content_type) is found


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2::7", "address:2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "address:2001:db8:1:3::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("::1", "address:::/64"),
        (None, "address:unknown"),
        ("", "address:unknown"),
        ("testclient", "address:unknown"),
        ("192.0.2.7, 10.0.0.1", "address:unknown"),
        ("1" * 100_000, "address:unknown"),
    ],
)
def test_an_address_is_a_caller(address: str | None, key: str) -> None:
    assert caller_at(address) == key


@given(st.text())
def test_whatever_is_no_address_is_one_caller_with_the_rest(text: str) -> None:
    key = caller_at(text)
    assert key == "address:unknown" or any(character in text for character in ".:")
    assert len(key) < 64


def test_a_principal_counts_wherever_it_calls_from() -> None:
    assert caller_of(ADA, "192.0.2.7") == caller_of(ADA, None) == "principal:key:ada"
    assert caller_of(None, "192.0.2.7") == caller_of(ANONYMOUS, "192.0.2.7") == "address:192.0.2.7"


def test_a_long_or_strange_subject_has_a_short_key_of_its_own() -> None:
    strange = [*("user:" + "x" * 5000 + end for end in "ab"), "user:\udcff", "user:ä"]
    keys = {caller_of(Principal(subject), None) for subject in strange}
    assert len(keys) == 4
    assert all(len(key) == 74 for key in keys)


def test_the_name_of_an_account_is_not_in_its_key() -> None:
    assert account_key("Ada") == account_key("ada") != account_key("bob")
    assert "ada" not in account_key("ada").removeprefix("login:")
    account_key("\udcff")


@pytest.mark.parametrize(
    ("found", "principal", "requests", "in_bytes", "places"),
    [
        (RouteClass.READS, ADA, ("reads", 60), None, ("concurrent", 8)),
        (RouteClass.WRITES, ADA, ("writes", 50), 1000, ("concurrent", 8)),
        (RouteClass.BULK, ADA, ("bulk", 40), 1000, ("streams", 4)),
        (RouteClass.AUTH, ADA, ("auth", 30), 1000, ("concurrent", 8)),
        (RouteClass.PROBES, ADA, ("probes", 20), None, None),
        (RouteClass.READS, None, ("anonymous", 10), None, ("concurrent", 8)),
        (RouteClass.WRITES, ANONYMOUS, ("anonymous", 10), 1000, ("concurrent", 8)),
        (RouteClass.BULK, None, ("anonymous", 10), 1000, ("streams", 4)),
        (RouteClass.AUTH, None, ("auth", 30), 1000, ("concurrent", 8)),
        (RouteClass.PROBES, None, ("probes", 20), None, None),
    ],
)
def test_each_class_has_its_quotas(
    found: RouteClass,
    principal: Principal | None,
    requests: tuple[str, int],
    in_bytes: int | None,
    places: tuple[str, int] | None,
) -> None:
    rule = LimitRules(POLICY).rule(found, principal)
    assert rule.requests is not None
    assert (rule.requests.name, rule.requests.amount, rule.requests.unit) == (*requests, Unit.REQUESTS)
    assert (rule.bytes and (rule.bytes.name, rule.bytes.amount)) == (in_bytes and ("bytes", in_bytes))
    assert (rule.places and (rule.places.name, rule.places.amount)) == places
    assert rule.is_local is (found is RouteClass.PROBES)


def test_a_request_takes_one_of_its_class_its_bytes_and_a_place() -> None:
    rule = LimitRules(POLICY).rule(RouteClass.WRITES, ADA)
    charges, place, is_local = demand_of(rule, "principal:key:ada", 300)
    assert [(charge.key, charge.amount) for charge in charges] == [
        ("writes:principal:key:ada", 1),
        ("bytes:principal:key:ada", 300),
    ]
    assert place is not None
    assert (place.key, is_local) == ("concurrent:principal:key:ada", False)


@pytest.mark.parametrize("size", [0, 1001, 10**14])
def test_no_body_and_one_that_could_never_be_sent_take_no_bytes(size: int) -> None:
    rule = LimitRules(POLICY).rule(RouteClass.WRITES, ADA)
    assert [charge.quota.name for charge in demand_of(rule, "x", size).charges] == ["writes"]


def test_zero_limits_nothing() -> None:
    rules = LimitRules(LimitPolicy())
    for found in RouteClass:
        demand = demand_of(rules.rule(found, ADA), "x", 300)
        assert (demand.charges, demand.place) == ((), None)


def test_a_penalty_doubles_up_to_its_longest() -> None:
    penalty = Penalty(free=2, first=0.5, longest=10)
    assert [penalty.wait(failures) for failures in range(9)] == [0, 0, 0.5, 1, 2, 4, 8, 10, 10]
    assert penalty.wait(10**9) == 10
