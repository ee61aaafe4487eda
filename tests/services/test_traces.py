"""A trace joins gateway, crud and database, in spans and in log lines; nothing of it is there when it is off."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from sarvanom.services.crud.storage import migrate_store
from tests.harness.collector import Collector, SeenSpan, running_collector
from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY, INTERNAL_SECRET
from tests.harness.postgres import PostgresDatabases
from tests.harness.scraping import METRICS_TOKEN, scrape
from tests.harness.system import RunningProcess, running_crud, running_system
from tests.harness.waiting import until
from tests.services.edge_gateways import running_gateway

SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningProcess]:
    with running_system(
        tmp_path_factory.mktemp("traced"),
        SARVANOM_OTLP_ENDPOINT=collector.url,
        SARVANOM_TRACE_SAMPLE="0",
        SARVANOM_TRACE_FOLLOW_CALLERS="true",
        SARVANOM_LOG_LEVEL="debug",
        SARVANOM_METRICS_TOKEN=METRICS_TOKEN,
    ) as system:
        yield system


@pytest.fixture
def client(traced: RunningProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=traced.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
        client.get("/users/warm")  # the key is remembered from now on: what follows asks crud once
        yield client


def lines(system: RunningProcess, trace_id: str, count: int) -> list[dict[str, Any]]:
    """Return the lines of requests of a trace, once there are as many."""

    def found() -> list[dict[str, Any]]:
        text = system.log.read_bytes().splitlines()
        return [orjson.loads(line) for line in text if line.startswith(b"{") and trace_id.encode() in line]

    until(lambda: len([line for line in found() if line["event"] == "request"]) >= count)
    return [line for line in found() if line["event"] == "request"]


def parent(trace_id: str, *, sampled: bool = True) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-b7ad6b7169203331-0{int(sampled)}"}


def check_chain(spans: list[SeenSpan]) -> None:
    """Each span is part of the one before, and lies within it; crud is done when it has sent, and so perhaps late."""
    for outer, inner in pairwise(spans):
        assert inner.parent_id == outer.span_id
        assert outer.began <= inner.began <= inner.ended
        assert inner.ended <= outer.ended or inner.service != outer.service


def test_a_read_is_one_trace_from_the_caller_to_the_statement(
    traced: RunningProcess, client: httpx2.Client, collector: Collector
) -> None:
    id, trace_id = f"t-{uuid4().hex}", uuid4().hex
    assert client.post("/settings", json={"setting_key": id, "setting_value": 1}).status_code == 201
    assert client.get(f"/settings/{id}", headers=parent(trace_id)).status_code == 200
    gateway, hop, crud, statement = spans = collector.trace(trace_id, 4)
    assert gateway.parent_id == "b7ad6b7169203331"
    check_chain(spans)
    name = "GET /settings/{setting_key}"
    assert [(span.service, span.name, span.kind) for span in spans] == [
        ("gateway", name, SERVER),
        ("gateway", "GET", CLIENT),
        ("crud", name, SERVER),
        ("crud", "SELECT settings", CLIENT),
    ]
    for server in (gateway, crud):
        assert server.attributes["http.route"] == "/settings/{setting_key}"
        assert server.attributes["http.request.method"] == "GET"
        assert server.attributes["http.response.status_code"] == 200
        assert server.attributes["sarvanom.principal"].startswith("key:")
    assert (hop.attributes["server.address"], hop.attributes["server.port"]) == ("127.0.0.1", traced.crud_port)
    assert statement.attributes["db.system.name"] == "sqlite"
    assert statement.attributes["db.query.text"].startswith("SELECT ")
    assert collector.paths == {"/v1/traces"}
    for span in spans:
        assert id not in repr(span)
        assert ADMIN_KEY not in repr(span)

    told = lines(traced, trace_id, 2)
    assert {line["service"] for line in told} == {"gateway", "crud"}
    assert len({line["request_id"] for line in told}) == 1
    assert {line["route"] for line in told} == {"/settings/{setting_key}"}


def test_a_write_has_a_span_that_waits_for_its_commit(client: httpx2.Client, collector: Collector) -> None:
    id, trace_id = f"t-{uuid4().hex}", uuid4().hex
    body = {"setting_key": id, "setting_value": 1}
    assert client.post("/settings", json=body, headers=parent(trace_id)).status_code == 201
    spans = collector.trace(trace_id, 4)
    commit = spans[-1]
    assert (commit.service, commit.name, commit.kind) == ("crud", "COMMIT settings", CLIENT)
    check_chain(spans)


def test_an_error_is_one_of_the_span(client: httpx2.Client, collector: Collector) -> None:
    trace_id = uuid4().hex
    assert client.get("/settings/absent", headers=parent(trace_id)).status_code == 404
    gateway, hop, crud, statement = collector.trace(trace_id, 4)
    # A 404 is no fault of who answers it; who asked has failed (OpenTelemetry's conventions for HTTP).
    assert [span.is_error for span in (gateway, hop, crud, statement)] == [False, True, False, False]
    assert hop.attributes["error.type"] == "404"


def test_an_unusual_method_names_no_span(client: httpx2.Client, collector: Collector) -> None:
    trace_id = uuid4().hex
    assert client.request("MKCOL", "/settings", headers=parent(trace_id)).status_code == 405
    [span] = collector.trace(trace_id, 1)
    assert span.name == "HTTP /settings"
    methods = ("http.request.method", "http.request.method_original")
    assert [span.attributes[name] for name in methods] == ["_OTHER", "MKCOL"]


def test_what_a_caller_does_not_record_is_not_recorded(
    traced: RunningProcess, client: httpx2.Client, collector: Collector
) -> None:
    unrecorded, recorded = uuid4().hex, uuid4().hex
    assert client.get("/settings", headers=parent(unrecorded, sampled=False)).status_code == 200
    assert client.get("/settings", headers=parent(recorded)).status_code == 200
    collector.trace(recorded, 4)
    assert unrecorded not in {span.trace_id for span in collector.spans}
    assert {line["service"] for line in lines(traced, unrecorded, 2)} == {"gateway", "crud"}


@pytest.mark.parametrize(
    "given",
    [
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319e-b7ad6b7169203331-01-more",
        "nonsense",
    ],
)
def test_a_malformed_parent_begins_a_new_trace(client: httpx2.Client, collector: Collector, given: str) -> None:
    assert client.get("/settings", headers={"traceparent": given}).status_code == 200
    after = uuid4().hex
    assert client.get("/settings", headers=parent(after)).status_code == 200
    collector.trace(after, 4)
    ids = {span.trace_id for span in collector.spans}
    assert not any(given[3:35].lower() == id for id in ids)


def test_exemplars_name_traces_that_were_recorded(
    traced: RunningProcess, client: httpx2.Client, collector: Collector
) -> None:
    trace_id = uuid4().hex
    assert client.get("/datasets", headers=parent(trace_id)).status_code == 200
    collector.trace(trace_id, 4)
    for url in (traced.gateway_url, traced.crud_url):
        buckets = scrape(url).having("sarvanom_http_request_duration_seconds_bucket", route="/datasets")
        exemplars = [bucket.exemplar for bucket in buckets if bucket.exemplar is not None]
        assert trace_id in {exemplar.labels["trace_id"] for exemplar in exemplars}
        everywhere = [one.exemplar for one in scrape(url).samples if one.exemplar is not None]
        assert {one.labels["trace_id"] for one in everywhere} <= {span.trace_id for span in collector.spans}


def test_log_lines_of_requests_hold_no_secret(traced: RunningProcess, client: httpx2.Client) -> None:
    trace_id, secret = uuid4().hex, f"hush-{uuid4().hex}"
    key = {"Authorization": f"Bearer sk-{secret}{secret}"}
    assert client.get(f"/users/{secret}?username={secret}", headers=key | parent(trace_id)).status_code == 401
    body = {"setting_key": secret, "setting_value": secret, "encrypted": True}
    assert client.post("/settings", json=body, headers=parent(trace_id)).status_code == 201
    told = lines(traced, trace_id, 3)
    log = traced.log.read_text()
    for hidden in (secret, ADMIN_KEY, INTERNAL_SECRET, METRICS_TOKEN):
        assert hidden not in log
    gateway = next(line for line in told if line["service"] == "gateway" and line["status"] == 201)
    assert gateway["route"] == "/settings"
    assert gateway["principal"].startswith("key:")
    assert gateway["instance"] == traced.crud_url
    refused = next(line for line in told if line["status"] == 401)
    assert (refused["route"], refused["principal"]) == ("/users/{user_id}", None)


def test_a_collector_that_is_away_is_said_once_and_holds_nobody_up(tmp_path: Path) -> None:
    with running_collector() as gone:
        url = gone.url
    with running_system(tmp_path, SARVANOM_OTLP_ENDPOINT=url, SARVANOM_TRACE_SAMPLE="1") as system:
        with httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:

            def said() -> list[bytes]:
                assert client.get("/settings").status_code == 200
                return [line for line in system.log.read_bytes().splitlines() if b"collector does not take" in line]

            until(lambda: len(said()) == 2)
            began = time.monotonic()
            until(lambda: said() and time.monotonic() - began > 2.5)
            assert len(said()) == 2  # one of each service
        began = time.monotonic()
    assert time.monotonic() - began < 15


def test_a_trace_reaches_into_postgresql(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, postgres: PostgresDatabases
) -> None:
    settings = {
        "SARVANOM_OTLP_ENDPOINT": collector.url,
        "SARVANOM_TRACE_SAMPLE": "1",
        "SARVANOM_METRICS_TOKEN": METRICS_TOKEN,
    }
    url = postgres.create_database()
    asyncio.run(migrate_store(url))
    folder = tmp_path_factory.mktemp("postgres")
    with running_crud(folder, SARVANOM_DATABASE_URL=url, **settings) as crud:
        with running_gateway(tmp_path_factory.mktemp("gateway"), crud.crud_port, **settings) as gateway:
            with httpx2.Client(base_url=gateway.gateway_url, headers=ADMIN_HEADERS, timeout=20) as client:
                body = {"setting_key": "k", "setting_value": 1}
                assert client.post("/settings", json=body).status_code == 201
                read, written = uuid4().hex, uuid4().hex
                assert client.get("/settings/k", headers=parent(read)).status_code == 200
                assert client.put("/settings/k", json=body, headers=parent(written)).status_code == 200
            spans = collector.trace(read, 4)
            check_chain(spans)
            assert [span.service for span in spans] == ["gateway", "gateway", "crud", "crud"]
            assert (spans[-1].name, spans[-1].attributes["db.system.name"]) == ("SELECT settings", "postgresql")
            assert collector.trace(written, 4)[-1].name == "COMMIT settings"
        found = scrape(crud.crud_url)
        assert found.total("sarvanom_db_pool_size") > 0
        assert found.total("sarvanom_db_pool_connections") <= found.total("sarvanom_db_pool_size")
        assert found.total("sarvanom_store_commit_writes_sum") >= 2
        assert found.total("sarvanom_store_available") == 1
