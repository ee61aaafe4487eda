"""What every answer of the API must look like, whatever it says."""

import re
from typing import Any

from httpx2 import Response

_PROBLEM_MEMBERS = {"type", "title", "status", "code", "detail", "request_id"}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_LEAKS = ("Traceback", 'File "', "sarvanom/", "SELECT ", "INSERT ", "sqlite", "apsw", "pydantic", "uvicorn")


def data_of(response: Response, status: int) -> dict[str, Any]:
    """Return the `data` of a successful answer, whose envelope is complete and holds nothing else."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    envelope = response.json()
    assert set(envelope) == {"status", "message", "data", "metadata"}
    assert envelope["status"] == "success"
    assert envelope["message"]
    assert isinstance(envelope["metadata"], dict)
    data: dict[str, Any] = envelope["data"]
    return data


def item_of(response: Response, status: int) -> dict[str, Any]:
    """Return the resource in a successful answer, without the fields that the server sets, which are checked."""
    item = dict(data_of(response, status))
    revision = item.pop("revision")
    assert response.headers["etag"] == f'"{revision}"'
    assert _TIMESTAMP.fullmatch(item.pop("created_at"))
    assert _TIMESTAMP.fullmatch(item.pop("updated_at"))
    return item


def items_of(response: Response) -> list[dict[str, Any]]:
    """Return the items of a list."""
    data = data_of(response, 200)
    assert set(data) == {"items"}
    items: list[dict[str, Any]] = data["items"]
    return items


def problem_of(response: Response, status: int, code: str) -> dict[str, Any]:
    """Return the body of an error, which is problem details (RFC 9457) and tells nothing of how the server is made."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    problem: dict[str, Any] = response.json()
    assert set(problem) - {"errors"} == _PROBLEM_MEMBERS
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    for one in problem.get("errors", ()):
        assert set(one) == {"field", "message"}
    assert not [leak for leak in _LEAKS if leak in response.text]
    return problem


def fields_of(problem: dict[str, Any]) -> set[str]:
    """Return the names of the fields that a problem complains of."""
    return {one["field"] for one in problem.get("errors", ())}
