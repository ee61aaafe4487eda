"""What `/metrics` says of running services equals what was asked of them."""

import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS, BEARER
from tests.harness.promtool import needs_promtool, promtool
from tests.harness.scraping import METRICS_TOKEN, OPENMETRICS, SCRAPER, Scraped, scrape
from tests.harness.system import RunningProcess, running_system
from tests.harness.waiting import until
from tests.services.answers import problem_of

REQUESTS = "sarvanom_http_requests_total"


@pytest.fixture(scope="module", params=[1, 3])
def observed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A system of one worker a service, then of three, and nobody else's."""
    folder = tmp_path_factory.mktemp("observed")
    with running_system(folder, SARVANOM_METRICS_TOKEN=METRICS_TOKEN, SARVANOM_WORKERS=str(request.param)) as system:
        # Each worker of crud writes the administrator's key when it starts, which is one write; then it is quiet.
        until(lambda: scrape(system.crud_url).total("sarvanom_store_commit_writes_sum") == request.param)
        yield system


@pytest.fixture
def client(observed: RunningProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=observed.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
        yield client


def user(id: str) -> dict[str, str]:
    return {"user_id": id, "username": id, "email": f"{id}@example.org"}


def settled(url: str) -> Scraped:
    """Scrape when the requests that were asked for are all over."""
    found: list[Scraped] = []

    def is_quiet() -> bool:
        found.append(scrape(url))
        return found[-1].total("sarvanom_http_requests_in_progress") == 1  # the scrape itself

    until(is_quiet)
    return found[-1]


def ask(observed: RunningProcess, asked: Counter[tuple[str, str, str]]) -> None:
    """Ask for this and that over a connection of its own, and count it."""
    with httpx2.Client(base_url=observed.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
        for _ in range(10):
            id = f"m-{uuid4().hex}"
            for method, path, route, body, status in (
                ("POST", "/users", "/users", user(id), 201),
                ("POST", "/users", "/users", user(id), 409),
                ("GET", f"/users/{id}", "/users/{user_id}", None, 200),
                ("HEAD", f"/users/{id}", "/users/{user_id}", None, 200),
                ("GET", f"/cache/{id}", "/cache/{key}", None, 404),
                ("PATCH", "/users", "/users", {}, 405),
                ("GET", f"/{id}", "unmatched", None, 404),
            ):
                assert client.request(method, path, json=body).status_code == status
                asked[route, method, f"{status // 100}xx"] += 1


def test_requests_are_counted_as_they_were_asked(observed: RunningProcess) -> None:
    before, crud_before = settled(observed.gateway_url), settled(observed.crud_url)
    asked: list[Counter[tuple[str, str, str]]] = [Counter() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda counted: ask(observed, counted), asked))
    expected = sum(asked, Counter[tuple[str, str, str]]())
    after, crud_after = settled(observed.gateway_url), settled(observed.crud_url)

    for (route, method, status_class), count in expected.items():
        labels = {"route": route, "method": method, "status_class": status_class}
        durations = "sarvanom_http_request_duration_seconds"
        for name in (REQUESTS, f"{durations}_count"):
            assert after.total(name, **labels) - before.total(name, **labels) == count, (name, labels)
        assert after.total(f"{durations}_bucket", le="+Inf", **labels) == after.total(REQUESTS, **labels)
    assert after.total("sarvanom_workers_unreachable") == 0

    def gained(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    def gained_at_crud(name: str, **labels: str) -> float:
        return crud_after.total(name, **labels) - crud_before.total(name, **labels)

    created = expected["/users", "POST", "2xx"]
    # The gateway asks for a HEAD by GET.
    assert gained_at_crud(REQUESTS, route="/users/{user_id}", method="GET", status_class="2xx") == 2 * created
    assert gained_at_crud(REQUESTS, route="/users", method="POST") == 2 * created
    everything = sum(expected.values())
    scrapes = gained(REQUESTS, route="/metrics")
    api_keys = {"credential": "api_key", "outcome": "proven"}
    assert gained("sarvanom_authentications_total", **api_keys) == everything
    # The last scrape is decided about before it is over, and so was that before.
    reads = sum(count for (_, method, _), count in expected.items() if method in ("GET", "HEAD"))
    decisions = {"decision": "admitted", "quota": "none"}
    assert gained("sarvanom_limit_decisions_total", route_class="reads", **decisions) == reads + scrapes
    assert gained("sarvanom_limit_decisions_total", route_class="writes", **decisions) == everything - reads
    assert gained_at_crud("sarvanom_cache_lookups_total", outcome="miss") == expected["/cache/{key}", "GET", "4xx"]
    assert gained_at_crud("sarvanom_store_commit_writes_sum") == 2 * created  # half of them refused by the store
    assert gained_at_crud("sarvanom_store_commit_writes_count") == gained_at_crud(
        "sarvanom_store_commit_duration_seconds_count", outcome="committed"
    )
    until(lambda: _newest_revision(observed) >= created)


def _newest_revision(observed: RunningProcess) -> float:
    return max(sample.value for sample in scrape(observed.crud_url).having("sarvanom_store_revision"))


def test_ten_thousand_random_paths_make_no_more_series(observed: RunningProcess) -> None:
    random.seed(5)
    words = [f"{random.getrandbits(64):x}" for _ in range(10_000)]
    shapes = ("/{}", "/users/{}", "/{}/users", "/users/{}/rotate", "/keys/{}/rotate", "/docs/assets/{}", "/changes/{}")
    series: list[int] = []
    before = settled(observed.gateway_url).total(REQUESTS)
    for group in range(0, len(words), 500):
        paths = [random.choice(shapes).format(word) for word in words[group : group + 500]]
        _pipeline(observed.gateway_port, paths)
        if group in (1000, 9500):
            series.append(len(_without_workers(settled(observed.gateway_url))))
    after = settled(observed.gateway_url)
    assert after.total(REQUESTS) - before >= len(words)
    routes = {sample.labels["route"] for sample in after.having(REQUESTS)}
    assert routes <= {
        "unmatched", "/users", "/users/{user_id}", "/keys/{key_id}/rotate", "/keys/{key_id}", "/cache/{key}",
        "/metrics", "/ready", "/changes",
    }  # fmt: skip
    counted = after.having(REQUESTS)
    methods, classes = ({sample.labels[label] for sample in counted} for label in ("method", "status_class"))
    assert len(counted) <= len(routes) * len(methods) * len(classes)
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert classes <= {"2xx", "3xx", "4xx", "5xx"}
    # Which worker meets its first of something when is left to luck; no path has a part in it.
    assert series[1] - series[0] <= 300
    assert len(after.samples) < 3_000
    text = str(after.samples) + str(settled(observed.crud_url).samples)
    assert not any(word in text for word in words)


def _without_workers(scraped: Scraped) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return the series of a service, as if it had one worker."""
    return {
        (one.name, frozenset((name, value) for name, value in one.labels.items() if name != "worker"))
        for one in scraped.samples
    }


def _pipeline(port: int, paths: list[str]) -> None:
    """Send requests one behind the other over one connection, and read all answers."""
    methods = ("GET", "POST", "DELETE", "OPTIONS", "PROPFIND", "MKCOL")
    requests = b"".join(
        b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b%b\r\n"
        % (
            random.choice(methods).encode(),
            path.encode(),
            BEARER,
            b"Connection: close\r\n" if number == len(paths) - 1 else b"",
        )
        for number, path in enumerate(paths)
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(connection.sendall, requests)
        answers = b""
        while chunk := connection.recv(2**16):
            answers += chunk
        sending.result()
    assert answers.count(b"HTTP/1.1 ") == len(paths)


def test_a_watch_is_counted_while_it_lasts(observed: RunningProcess, client: httpx2.Client) -> None:
    def watchers() -> float:
        return scrape(observed.crud_url).total("sarvanom_watch_subscribers")

    until(lambda: watchers() == 0)
    with client.stream("GET", "/changes", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
        until(lambda: watchers() == 1)
        assert scrape(observed.gateway_url).total("sarvanom_http_requests_in_progress") == 2
    labels = {"route": "/changes", "method": "GET", "status_class": "2xx"}
    client.put(f"/cache/{uuid4().hex}", json={"value": 1})  # a reader who is gone is seen to be at the next event
    until(lambda: client.post("/users", json=user(f"w-{uuid4().hex}")).status_code == 201 and watchers() == 0)
    until(lambda: scrape(observed.gateway_url).total(REQUESTS, **labels) == 1)


def test_what_is_blocked_or_refused_is_counted(observed: RunningProcess, client: httpx2.Client) -> None:
    before = settled(observed.gateway_url)
    problem_of(client.get("/users?username=x%27%20or%201%3D1--%20"), 403, "content_blocked")
    assert httpx2.get(f"{observed.gateway_url}/users").status_code == 401
    bad = {"Authorization": "Bearer nonsense"}
    assert httpx2.get(f"{observed.gateway_url}/users/somebody", headers=bad).status_code == 401
    after = settled(observed.gateway_url)

    def gained(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    finding = {"family": "sqli", "profile": "strict", "action": "block"}
    assert gained("sarvanom_inspection_findings_total", **finding) == 1
    assert gained("sarvanom_authentications_total", credential="none", outcome="refused") == 1
    assert gained("sarvanom_authentications_total", credential="token", outcome="refused") == 1
    assert gained(REQUESTS, route="/users/{user_id}", method="GET", status_class="4xx") == 1


def test_each_worker_has_series_of_its_own(observed: RunningProcess) -> None:
    workers = int(observed.settings["SARVANOM_WORKERS"])
    for url in (observed.gateway_url, observed.crud_url):
        found = scrape(url)
        build = found.having("sarvanom_build_info")
        assert sorted(sample.labels["worker"] for sample in build) == [str(number) for number in range(workers)]
        assert len(found.having("process_resident_memory_bytes")) == workers
        assert found.total("sarvanom_event_loop_lag_seconds_count") > 0


@needs_promtool
def test_promtool_finds_the_metrics_good(observed: RunningProcess, client: httpx2.Client) -> None:
    id = f"p-{uuid4().hex}"
    assert client.post("/users", json=user(id)).status_code == 201
    assert client.get(f"/users/{id}").status_code == 200
    assert client.get(f"/cache/{id}").status_code == 404
    for url in (observed.gateway_url, observed.crud_url):
        text = settled(url).plain
        assert 'route="/users/{user_id}"' in text
        assert promtool("check", "metrics", stdin=text) == (0, "")


@needs_promtool
def test_promtool_does_find_what_is_bad() -> None:
    status, said = promtool("check", "metrics", stdin="# TYPE bad counter\nbad 1\n")
    assert (status, "counter metrics should have" in said) == (3, True)


def test_metrics_are_for_scrapers_and_administrators(observed: RunningProcess, client: httpx2.Client) -> None:
    for url in (observed.gateway_url, observed.crud_url):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {METRICS_TOKEN}x"}):
            problem_of(httpx2.get(f"{url}/metrics", headers=headers), 401, "unauthorized")
        assert httpx2.get(f"{url}/metrics", headers={**SCRAPER, "Accept": OPENMETRICS}).status_code == 200
        twice = [("Authorization", SCRAPER["Authorization"])] * 2
        assert httpx2.get(f"{url}/metrics", headers=twice).status_code in (400, 401)
    assert client.get("/metrics").status_code == 200
    problem_of(httpx2.get(f"{observed.gateway_url}/users", headers=SCRAPER), 403, "forbidden")
    problem_of(httpx2.get(f"{observed.crud_url}/users", headers=SCRAPER), 401, "unauthorized")


def test_a_token_is_made_at_the_first_start(tmp_path: Path) -> None:
    with running_system(tmp_path) as system:
        file = tmp_path / "metrics-token"
        assert file.stat().st_mode & 0o777 == 0o600
        headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
        for url in (system.gateway_url, system.crud_url):
            assert httpx2.get(f"{url}/metrics", headers=headers).status_code == 200
