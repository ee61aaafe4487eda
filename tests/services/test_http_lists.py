"""Lists over HTTP: parameters typed from the declaration, pages, cursors and projections."""

from typing import Any

import pytest
from httpx2 import Client

from tests.services.answers import fields_of, items_of, problem_of
from tests.services.samples import SAMPLES, Sample

EACH_SAMPLE = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.collection)


@pytest.fixture
def models(http: Client, id: str) -> list[dict[str, Any]]:
    """Nine models of a service of their own, which is called like the test's id."""
    made = []
    for number in range(9):
        body = {
            "model_name": f"{id}/{number}",
            "provider": f"p,{number % 3}" if number % 2 else f"q{number % 3}",
            "priority": 9 - number,
            "enabled": number % 2 == 0,
            "service": id,
        }
        assert http.post("/models", json=body).status_code == 201
        made.append(body)
    return made


def numbers(http: Client, id: str, **params: Any) -> list[int]:
    """Return which of the nine a list holds, in its order."""
    answer = http.get("/models", params={"service": id, **params})
    return [int(item["model_name"].removeprefix(f"{id}/")) for item in items_of(answer)]


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ({"limit": 2}, [0, 1]),
        ({"limit": "1"}, [0]),
        ({"skip": 7}, [7, 8]),
        ({"skip": 9}, []),
        ({"skip": 9007199254740991}, []),
        ({"sort": "priority"}, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "-priority"}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ({"sort": "provider,-priority"}, [3, 1, 7, 5, 0, 6, 4, 2, 8]),
        ({"sort": "-model_name"}, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "-created_at", "limit": 1}, [8]),
        ({"enabled": "true"}, [0, 2, 4, 6, 8]),
        ({"enabled": "false"}, [1, 3, 5, 7]),
        ({"priority": 5}, [4]),
        ({"priority__gte": 8}, [0, 1]),
        ({"priority__lte": 2, "enabled": "true"}, [8]),
        ({"priority__in": "1,9"}, [0, 8]),
        ({"provider": "q0"}, [0, 6]),
        ({"provider__in": '"p,0",q1'}, [3, 4]),
        ({"provider__prefix": "p,"}, [1, 3, 5, 7]),
        ({"provider__prefix": "P,"}, []),
        ({"provider__prefix": "%"}, []),
        ({"provider__prefix": "_"}, []),
        ({"provider__prefix": "O'R 1=1"}, []),
        ({"provider": 'a\'; "DROP"'}, []),
        ({"created_at__gte": "2000-01-01T00:00:00Z"}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ({"created_at__lte": "2000-01-01T00:00:00+02:00"}, []),
        ({"revision__lte": 0}, []),
    ],
)
def test_a_list_holds_what_its_parameters_ask_for(
    http: Client, id: str, params: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(http, id, **params) == expected


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("sort", [None, "priority", "-provider", "provider,-updated_at", "-priority"])
@pytest.mark.parametrize("limit", [1, 2, 4, 9])
def test_cursors_lead_through_everything_once(http: Client, id: str, sort: str | None, limit: int) -> None:
    params: dict[str, Any] = {"service": id, "limit": limit} | ({"sort": sort} if sort else {})
    whole = [item["model_name"] for item in items_of(http.get("/models", params={**params, "limit": 1000}))]
    walked: list[str] = []
    while True:
        page = http.get("/models", params=params)
        walked += [item["model_name"] for item in items_of(page)]
        cursor = page.json()["metadata"]["next_cursor"]
        if cursor is None:
            break
        params["cursor"] = cursor
    assert walked == whole
    assert len(walked) == 9


@pytest.mark.usefixtures("models")
def test_a_cursor_survives_what_is_written_and_deleted_meanwhile(http: Client, id: str) -> None:
    page = http.get("/models", params={"service": id, "limit": 3})
    assert http.delete(f"/models/{id}/2").status_code == 204
    assert http.delete(f"/models/{id}/3").status_code == 204
    body = {"model_name": f"{id}/0a", "provider": "p", "service": id}
    assert http.post("/models", json=body).status_code == 201
    cursor = page.json()["metadata"]["next_cursor"]
    assert numbers(http, id, limit=3, cursor=cursor) == [4, 5, 6]


@pytest.mark.usefixtures("models")
def test_a_total_is_counted_if_asked_for(http: Client, id: str) -> None:
    metadata = http.get("/models", params={"service": id, "limit": 2}).json()["metadata"]
    assert set(metadata) == {"limit", "next_cursor"}
    assert metadata["limit"] == 2
    params = {"service": id, "limit": "2", "include_total": "true", "enabled": "true"}
    metadata = http.get("/models", params=params).json()["metadata"]
    assert (set(metadata), metadata["total"]) == ({"limit", "next_cursor", "total"}, 5)
    assert http.get("/models", params={"include_total": "false"}).json()["metadata"].keys() == {"limit", "next_cursor"}


def test_a_list_is_of_a_hundred_at_most_unless_it_is_told(http: Client) -> None:
    assert http.get("/cache").json()["metadata"]["limit"] == 100


@EACH_SAMPLE
def test_fields_cut_items_down_and_keep_the_id(http: Client, sample: Sample, id: str) -> None:
    assert http.post(f"/{sample.collection}", json={**sample.full(id), "service": id}).status_code == 201
    name = sample.changed[0]

    def keys(fields: str) -> set[str]:
        (item,) = items_of(http.get(f"/{sample.collection}", params={"service": id, "fields": fields}))
        return set(item)

    assert keys(name) == {sample.id_field, name}
    assert keys(f"{name},revision,{name}") == {sample.id_field, name, "revision"}
    assert keys(sample.id_field) == {sample.id_field}
    every = [*sample.full(id), "created_at", "updated_at", "revision"]
    assert keys(",".join(every)) == set(every)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=true", "limit"),
        ("limit=1&limit=2", "limit"),
        ("skip=-1", "skip"),
        ("skip=9007199254740992", "skip"),
        ("sort=", "sort"),
        ("sort=parameters", "sort"),
        ("sort=priority,,provider", "sort"),
        ("sort=priority;x", "sort"),
        ("sort=--priority", "sort"),
        ("fields=", "fields"),
        ("fields=nothing", "fields"),
        ("fields=provider,", "fields"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("cursor=%FF", ""),
        ("cursor=" + "A" * 5000, "cursor"),
        ("include_total=1", "include_total"),
        ("include_total=True", "include_total"),
        ("priority=high", "priority"),
        ("priority__in=1,x", "priority__in.1"),
        ("priority__prefix=1", "priority__prefix"),
        ("enabled=yes", "enabled"),
        ("provider__gte=a", "provider__gte"),
        ("provider__in=%22a", "provider__in"),
        ("parameters=x", "parameters"),
        ("created_at=2000-01-01T00:00:00Z", "created_at"),
        ("created_at__gte=2000-01-01", "created_at__gte"),
        ("created_at__gte=2000-01-01T00:00:00", "created_at__gte"),
        ("created_at__gte=0", "created_at__gte"),
        ("nothing=1", "nothing"),
        ("=1", ""),
        ("__proto__=1", "__proto__"),
        ("provider=%FF", ""),
        ("&".join(f"a{number}=1" for number in range(201)), ""),
    ],
    ids=lambda value: value[:24],
)
def test_a_parameter_that_breaks_a_rule_is_named(http: Client, query: str, field: str) -> None:
    assert field in fields_of(problem_of(http.get(f"/models?{query}"), 422, "validation_failed"))


def test_a_cursor_of_another_list_is_refused(http: Client, id: str) -> None:
    for number in range(2):
        assert http.post("/models", json={"model_name": f"{id}{number}", "provider": id}).status_code == 201
    page = http.get("/models", params={"provider": id, "limit": 1, "sort": "-priority"})
    cursor = page.json()["metadata"]["next_cursor"]
    refused = http.get("/models", params={"provider": id, "limit": 1, "sort": "provider", "cursor": cursor})
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {"cursor"}
    refused = http.get("/users", params={"cursor": cursor})
    assert fields_of(problem_of(refused, 422, "validation_failed")) == {"cursor"}


def test_a_refused_parameter_is_not_repeated_to_the_caller(http: Client) -> None:
    secret = "hunter2-do-not-echo"
    for query in (f"sort={secret}", f"fields={secret}", f"limit={secret}", f"cursor={secret}", f"enabled={secret}"):
        answer = http.get(f"/models?{query}")
        problem_of(answer, 422, "validation_failed")
        assert secret not in answer.text, query
