"""What observations become: numbers, and text for a scraper."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sarvanom.observability.exposition import Exposition
from sarvanom.observability.metrics import Metrics
from sarvanom.observability.rendering import render
from sarvanom.observability.siblings import Place, Siblings
from sarvanom.shared.observations import (
    LimitDecided,
    PoolState,
    RequestServed,
    StoreMeasured,
    UpstreamAttempted,
    UpstreamState,
    WritesCommitted,
    offer,
    tell,
)
from sarvanom.shared.trace_context import RequestNotes, Span, TraceContext

TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", is_sampled=True)


def served(route: str = "/users", method: str = "GET", status: int = 200, span: Span | None = None) -> RequestServed:
    return RequestServed(method, route, status, 0.003, 10, False, None, "", RequestNotes("r"), span)


def samples_of(exposition: Exposition) -> list[Sample]:
    _, text = render([exposition.read()], "application/openmetrics-text")
    families = text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
    return [sample for family in families for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    (found,) = [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]
    return found


def exposed(metrics: Metrics, worker: int = 0) -> Exposition:
    return Exposition(metrics, "crud", "1.0", worker)


def test_nothing_is_counted_before_and_after_it_listens() -> None:
    metrics = Metrics("gateway")
    tell(served())
    metrics.listen()
    tell(served())
    metrics.stop()
    tell(served())
    assert value(samples_of(exposed(metrics)), "sarvanom_http_requests_total", route="/users") == 1


def test_methods_that_strangers_make_up_are_one() -> None:
    metrics = Metrics("gateway")
    metrics.listen()
    for number in range(1000):
        tell(served(method=f"M{number}"))
    metrics.stop()
    found = [one for one in samples_of(exposed(metrics)) if one.name == "sarvanom_http_requests_total"]
    assert [(one.labels["method"], one.value) for one in found] == [("other", 1000)]


def test_a_bucket_names_the_last_trace_that_was_recorded() -> None:
    metrics = Metrics("gateway")
    metrics.listen()
    tell(served(span=Span(TRACE, None, 0)))
    tell(served())
    metrics.stop()
    exemplars = [one for one in samples_of(exposed(metrics)) if one.exemplar is not None]
    assert [(one.labels["le"], one.exemplar and one.exemplar.labels) for one in exemplars] == [
        ("0.005", {"trace_id": TRACE.trace_id})
    ]


def test_fields_become_labels() -> None:
    metrics = Metrics("gateway")
    metrics.listen()
    tell(LimitDecided("reads", "refused", "anonymous"))
    metrics.stop()
    labels = {"route_class": "reads", "decision": "refused", "quota": "anonymous"}
    assert value(samples_of(exposed(metrics)), "sarvanom_limit_decisions_total", **labels) == 1


def test_states_are_those_of_the_moment_and_added_up() -> None:
    metrics = Metrics("crud")
    metrics.listen()
    ends = [offer(lambda: [PoolState(8, 2, 1, 0)]), offer(lambda: [PoolState(8, 3, 0, 4)])]
    both = samples_of(exposed(metrics))
    ends.pop()()
    one = samples_of(exposed(metrics))
    ends.pop()()
    none = samples_of(exposed(metrics))
    metrics.stop()
    assert value(both, "sarvanom_db_pool_connections", state="in_use") == 5
    assert value(both, "sarvanom_db_pool_waiting") == 4
    assert value(one, "sarvanom_db_pool_connections", state="in_use") == 2
    assert not [sample for sample in none if sample.name.startswith("sarvanom_db_pool_connections")]


def test_instances_that_are_gone_are_forgotten_once_their_last_numbers_were_read() -> None:
    metrics = Metrics("gateway")
    metrics.listen()
    known: list[str] = []
    end = offer(lambda: [UpstreamState(url, True, 0) for url in known])

    def read() -> dict[str, float]:
        found = [one for one in samples_of(exposed(metrics)) if one.name == "sarvanom_upstream_attempts_total"]
        return {one.labels["instance"]: one.value for one in found}

    for number in range(1000):
        known[:] = ["http://stays", f"http://10.0.0.{number}"]
        for url in known:
            tell(UpstreamAttempted(url, "GET", 200, "2xx", 0.01, None))
        found = read()
        assert (found["http://stays"], found[known[1]]) == (number + 1, 1)
        assert number == 0 or found[f"http://10.0.0.{number - 1}"] == 1
        assert len(found) <= 3
    end()
    metrics.stop()


def test_a_database_that_is_away_keeps_its_last_revision() -> None:
    metrics = Metrics("crud")
    metrics.listen()
    tell(StoreMeasured(is_available=True, revision=7, floor=2))
    tell(StoreMeasured(is_available=False))
    metrics.stop()
    found = samples_of(exposed(metrics))
    assert value(found, "sarvanom_store_available") == 0
    assert (value(found, "sarvanom_store_revision"), value(found, "sarvanom_store_revision_floor")) == (7, 2)


@pytest.mark.parametrize("accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0"])
def test_workers_are_told_apart_in_one_text(accept: str) -> None:
    metrics = Metrics("crud")
    metrics.listen()
    tell(WritesCommitted(3, 0.01, "committed"))
    metrics.stop()
    media_type, text = render([exposed(metrics, 0).read(), exposed(metrics, 1).read()], accept)
    assert media_type.startswith("application/openmetrics-text" if "openmetrics" in accept else "text/plain")
    for worker in range(2):
        assert f'sarvanom_store_commit_writes_sum{{worker="{worker}"}} 3.0' in text.decode()
    assert text.decode().count("# TYPE sarvanom_store_commit_writes histogram") == 1


async def test_workers_find_each_other_and_miss_who_is_gone(tmp_path: Path) -> None:
    def sibling(worker: int) -> Siblings:
        return Siblings(Place(worker, 3, tmp_path), "crud", lambda: [["of", worker]])

    siblings = [sibling(worker) for worker in range(3)]
    for one in siblings[:2]:
        await one.start()
    payloads, missing = await siblings[0].read_all()
    assert sorted(payloads) == [[["of", 0]], [["of", 1]]]
    assert missing == 1
    await siblings[1].aclose()
    assert (await siblings[0].read_all())[1] == 2
    again = sibling(1)
    await again.start()  # in the place of one that is gone
    assert (await siblings[0].read_all())[1] == 1
    await asyncio.gather(siblings[0].aclose(), again.aclose())


async def test_a_worker_that_hangs_is_missed_after_a_second(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(hang, tmp_path / "crud-1")
    payloads, missing = await Siblings(Place(0, 2, tmp_path), "crud", list).read_all()
    assert (payloads, missing) == ([[]], 1)
    server.close()
    await server.wait_closed()


async def test_a_worker_that_reads_no_answer_does_not_keep_another_from_stopping(tmp_path: Path) -> None:
    siblings = Siblings(Place(0, 2, tmp_path), "crud", lambda: ["x" * 50_000_000])
    await siblings.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "crud-0", limit=10)
    assert await reader.read(1)
    async with asyncio.timeout(2):
        await siblings.aclose()
    writer.close()
