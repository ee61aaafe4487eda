"""Whom the gateway believes about where a request comes from."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import httpx2
import pytest

from tests.harness.system import RunningProcess
from tests.services.edge_gateways import running_gateway

HSTS = "strict-transport-security"
type Seen = Callable[[dict[str, str] | list[tuple[str, str]]], tuple[str, bool]]


@pytest.fixture(scope="module")
def seen_behind(system: RunningProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Seen]]:
    """Of a gateway that trusts these proxies: which client it saw, and whether it believed in TLS."""
    gateways: dict[str, RunningProcess] = {}
    with ExitStack() as stack:

        def behind(proxies: str) -> Seen:
            if proxies not in gateways:
                settings = {"SARVANOM_INSPECTION_STRICT": "off"}  # it would refuse what is no address
                if proxies:
                    settings["SARVANOM_TRUSTED_PROXIES"] = proxies
                folder = tmp_path_factory.mktemp("forwarded")
                gateways[proxies] = stack.enter_context(running_gateway(folder, system.crud_port, **settings))
            return lambda headers: seen(gateways[proxies], headers)

        yield behind


def seen(gateway: RunningProcess, headers: dict[str, str] | list[tuple[str, str]]) -> tuple[str, bool]:
    id = uuid4().hex
    sent = [*(headers.items() if isinstance(headers, dict) else headers), ("x-request-id", id)]
    answer = httpx2.get(f"{gateway.gateway_url}/health", headers=sent)
    assert answer.status_code == 200
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = [line for line in gateway.log.read_text().splitlines() if id in line]
        if lines:
            return json.loads(lines[0])["client"], HSTS in answer.headers
        time.sleep(0.01)
    raise AssertionError("the request is not in the log")


@pytest.mark.parametrize("proxies", ["", "10.0.0.1", "10.0.0.0/8, 192.0.2.1"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "198.51.100.7"},
        {"x-forwarded-for": "10.0.0.1"},
        {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https", "x-real-ip": "198.51.100.7"},
        {"forwarded": "for=198.51.100.7;proto=https"},
    ],
)
def test_a_stranger_is_who_it_is_whatever_it_says(
    seen_behind: Callable[[str], Seen], proxies: str, headers: dict[str, str]
) -> None:
    assert seen_behind(proxies)(headers) == ("127.0.0.1", False)


CHAIN = "127.0.0.1, 10.0.0.0/8, 2001:db8::/32"


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"x-forwarded-for": "198.51.100.7"}, "198.51.100.7"),
        ({"x-forwarded-for": "203.0.113.9, 198.51.100.7"}, "198.51.100.7"),
        ({"x-forwarded-for": "10.9.9.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"),
        ({"x-forwarded-for": "203.0.113.9,198.51.100.7,10.0.0.2,10.0.0.3"}, "198.51.100.7"),
        ({"x-forwarded-for": "127.0.0.1, 198.51.100.7, 127.0.0.1"}, "198.51.100.7"),
        ([("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
        ({"x-forwarded-for": "203.0.113.9, [2001:db9::1]:4711, 2001:db8::1"}, "2001:db9::1"),
        ({"x-forwarded-for": "198.51.100.7:4711"}, "198.51.100.7"),
        ({"x-forwarded-for": ""}, "127.0.0.1"),
        ({"forwarded": "for=198.51.100.7;proto=https"}, "127.0.0.1"),
    ],
)
def test_behind_proxies_the_client_is_the_rightmost_that_is_none_of_them(
    seen_behind: Callable[[str], Seen], headers: dict[str, str] | list[tuple[str, str]], client: str
) -> None:
    assert seen_behind(CHAIN)(headers) == (client, False)


@pytest.mark.parametrize(
    ("proto", "over_tls"),
    [("https", True), ("http", False), ("HTTPS", False), ("https, http", False), ("wss", False), ("", False)],
)
def test_a_trusted_proxy_says_whether_it_was_tls(
    seen_behind: Callable[[str], Seen], proto: str, over_tls: bool
) -> None:
    headers = {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": proto}
    assert seen_behind(CHAIN)(headers) == ("198.51.100.7", over_tls)


@pytest.mark.parametrize("value", ["<script>", "a\tb", '"', "999.1.1.1", "[::1", "1.2.3.4:" + "9" * 5000, "x" * 9000])
def test_what_is_no_address_does_no_harm(seen_behind: Callable[[str], Seen], value: str) -> None:
    client, _ = seen_behind(CHAIN)({"x-forwarded-for": f"203.0.113.9, {value}"})
    assert client != "203.0.113.9"
