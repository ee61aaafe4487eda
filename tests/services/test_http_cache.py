"""The cache over HTTP: entries that expire at once, invalidation, and statistics."""

import time
from typing import Any

import pytest
from httpx2 import Client

from tests.services.answers import data_of, fields_of, item_of, items_of, problem_of

CREATE_ONLY = {"if-none-match": "*"}


def put(http: Client, key: str, **fields: Any) -> None:
    answer = http.put(f"/cache/{key}", json={"value": key, **fields}, headers=CREATE_ONLY)
    assert answer.status_code == 201, answer.text


def wait_until_expired(http: Client, key: str, seconds: float) -> None:
    """Wait out a time to live; the entry must be there before its end and gone right after it."""
    assert http.get(f"/cache/{key}").status_code == 200
    time.sleep(seconds)


def test_an_entry_is_gone_for_every_method_once_its_time_is_out(http: Client, id: str) -> None:
    entries = [f"{id}-{number}" for number in range(7)]
    for key in entries:
        put(http, key, ttl=1, tags=[id])
    before = data_of(http.get("/cache-stats"), 200)["entries"]
    wait_until_expired(http, entries[0], 1.005)
    problem_of(http.get(f"/cache/{entries[0]}"), 404, "not_found")
    problem_of(http.put(f"/cache/{entries[1]}", json={"value": 1}), 404, "not_found")
    problem_of(http.patch(f"/cache/{entries[2]}", json={"ttl": 60}), 404, "not_found")
    problem_of(http.delete(f"/cache/{entries[3]}"), 404, "not_found")
    listed = http.get("/cache", params={"tags__contains": id, "include_total": "true"})
    assert (items_of(listed), listed.json()["metadata"]["total"]) == ([], 0)
    assert data_of(http.get("/cache-stats"), 200)["entries"] <= before - len(entries)
    assert http.put(f"/cache/{entries[4]}", json={"value": 2}, headers=CREATE_ONLY).status_code == 201
    assert item_of(http.post("/cache", json={"key": entries[5], "value": 3}), 201)["value"] == 3
    assert data_of(http.delete("/cache", params={"tag": id}), 200) == {"deleted": 0}


def test_a_write_starts_the_time_to_live_again(http: Client, id: str) -> None:
    put(http, id, ttl=1)
    assert http.patch(f"/cache/{id}", json={"ttl": 60}).status_code == 200
    wait_until_expired(http, id, 1.005)
    assert item_of(http.get(f"/cache/{id}"), 200)["ttl"] == 60


def test_an_entry_without_a_time_to_live_stays(http: Client, id: str) -> None:
    put(http, id, ttl=None)
    assert item_of(http.get(f"/cache/{id}"), 200)["ttl"] is None


def test_invalidation_by_tag_and_by_service(http: Client, id: str) -> None:
    a, b, shared = f"{id}-a", f"{id}-b", f"{id}-s"
    put(http, f"{id}/1", tags=[a], service=shared)
    put(http, f"{id}/2", tags=[a, b], service=f"{shared}2")
    put(http, f"{id}/3", tags=[b], service=shared)
    put(http, f"{id}/4", tags=[f"{a}x"], service=shared)
    assert data_of(http.delete("/cache", params={"tag": a, "service": shared}), 200) == {"deleted": 1}
    assert data_of(http.delete("/cache", params={"tag": a}), 200) == {"deleted": 1}
    assert data_of(http.delete("/cache", params={"tag": a}), 200) == {"deleted": 0}
    assert [item["key"] for item in items_of(http.get("/cache", params={"service": shared}))] == [f"{id}/3", f"{id}/4"]
    assert data_of(http.delete("/cache", params={"service": shared}), 200) == {"deleted": 2}
    assert items_of(http.get("/cache", params={"key__prefix": id})) == []


def test_a_tag_may_hold_what_a_query_must_encode(http: Client, id: str) -> None:
    tag = f"{id} ä&=+%,;\"'/?#"
    put(http, id, tags=[tag, "other"])
    assert [item["key"] for item in items_of(http.get("/cache", params={"tags__contains": tag}))] == [id]
    assert data_of(http.delete("/cache", params={"tag": tag}), 200) == {"deleted": 1}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "tag"),
        ("?", "tag"),
        ("?tag=", "tag"),
        ("?service=", "service"),
        ("?key=x", "key"),
        ("?tag=x&surplus=1", "surplus"),
        ("?tag=x&tag=y", "tag"),
        ("?tag=%00", "tag"),
        ("?tag=%ff", ""),
        ("?tags=x", "tags"),
    ],
)
def test_an_invalidation_without_a_filter_that_is_known_deletes_nothing(
    http: Client, id: str, query: str, field: str
) -> None:
    put(http, id, tags=["x"])
    assert field in fields_of(problem_of(http.delete(f"/cache{query}"), 422, "validation_failed"))
    assert http.get(f"/cache/{id}").status_code == 200


def test_the_statistics_count_entries_bytes_hits_and_misses(http: Client, id: str) -> None:
    before = data_of(http.get("/cache-stats"), 200)
    assert set(before) == {"entries", "bytes", "hits", "misses", "expirations"}
    put(http, id)
    for _ in range(3):
        assert http.get(f"/cache/{id}").status_code == 200
    for _ in range(2):
        assert http.get(f"/cache/{id}-absent").status_code == 404
    after = data_of(http.get("/cache-stats"), 200)
    assert after["hits"] >= before["hits"] + 3
    assert after["misses"] >= before["misses"] + 2
    assert all(isinstance(value, int) and value >= 0 for value in after.values())


def test_an_entry_reclaimed_after_its_time_is_counted(http: Client, id: str) -> None:
    before = data_of(http.get("/cache-stats"), 200)["expirations"]
    put(http, id, ttl=1)
    deadline = time.monotonic() + 10
    while data_of(http.get("/cache-stats"), 200)["expirations"] == before:
        assert time.monotonic() < deadline, "an expired entry was not reclaimed within 10 s"
        time.sleep(0.1)
