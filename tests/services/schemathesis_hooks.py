"""Where schemathesis is wrong, or a schema cannot say what is right: each excuse with its reason, narrow as can be."""

from typing import Any, Final

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData

_CONDITIONS: Final = ("if-match", "if-none-match")
_PLACEHOLDER: Final = "0"


@schemathesis.serializer("application/x-ndjson")
def write_lines(context: Any, value: Any) -> bytes:
    """Send a body of lines as the text that it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Leave out conditional headers that are a bare 0, unless it is they that are tested.

    Schemathesis has values of its own for these two headers, and its coverage phase takes 0 for a valid one whatever
    their pattern says. Every case with one would end in the same 400 and test nothing.
    """
    headers: Any = case.headers or {}
    for name in _CONDITIONS:
        if headers.get(name) == _PLACEHOLDER and _parameter_under_test(case) != name:
            del headers[name]
    return case


@schemathesis.hook
def filter_failure(context: HookContext, failure: Exception, case: Case[Any], response: Response) -> bool:
    """Keep a failure unless it has an excuse."""
    match failure:
        case RejectedPositiveData():
            return not _is_rightly_rejected(case, response)
        case AcceptedNegativeData():
            # Any text is a body of lines: each is answered for itself, by 200 as a whole.
            return case.media_type != "application/x-ndjson"
        case MissingHeaderNotRejected():
            # A target that is too long is refused before it is looked at who sends it.
            return response.status_code != 414
        case _:
            return True


def _parameter_under_test(case: Case[Any]) -> str | None:
    phase = case.meta.phase if case.meta is not None else None
    name: str | None = getattr(getattr(phase, "data", None), "parameter", None)
    return name


def _is_rightly_rejected(case: Case[Any], response: Response) -> bool:
    """Tell whether valid data was refused for what no schema can say."""
    fields = {error["field"] for error in _problem(response).get("errors", ())}
    return (
        # Each parameter is as long as it may be, and all of them are too long together.
        response.status_code == 414
        # A cursor is opaque: only one that a list has given is good, and its schema is any text.
        or fields == {"cursor"}
        # The schema of a revision is any number: which there are by now is known to the store alone.
        or (bool(fields) and fields <= {"at_revision", "since"} and case.method == "GET")
        # So is the schema of a key any text: which were used for other requests, too.
        or _problem(response).get("code") == "idempotency_key_reused"
        # Nor can a schema say what looks like an attack.
        or _problem(response).get("code") == "content_blocked"
        or _names_no_collection(case, fields)
        or _deletes_a_whole_cache(case, fields)
        or _is_about_another_resource(case, fields)
        or _is_no_export(case)
        or _is_a_credential(case, response)
        # Nor which passwords are good enough.
        or (fields == {"password"} and case.path.startswith("/accounts"))
        # Nor what is still to come: a key must not have ended before it is made.
        or ((case.method, case.path) == ("POST", "/keys") and fields == {"expires_at"})
        or _has_parameters_of_lines(case, fields)
        or _has_pages_of_lines(case, fields)
    )


def _deletes_a_whole_cache(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether neither filter is given: OpenAPI cannot say "at least one of these parameters"."""
    is_invalidation = (case.method, case.path) == ("DELETE", "/cache")
    return is_invalidation and fields == {"tag"} and not {"tag", "service"} & set(case.query or {})


def _names_no_collection(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether an id stands without its collection: OpenAPI cannot say that a parameter needs another."""
    return case.path == "/changes" and fields == {"id"} and "resource" not in (case.query or {})


def _is_about_another_resource(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether the body names another id than the path: OpenAPI cannot say that two values must be equal."""
    path, body = case.path_parameters or {}, case.body
    return (
        len(fields) == 1
        and fields == set(path)
        and isinstance(body, dict)
        and any(body.get(name) != value for name, value in path.items())
    )


def _is_no_export(case: Case[Any]) -> bool:
    """Tell whether a text is restored: no schema can say what the lines of an export are."""
    return (case.method, case.path) == ("POST", "/import")


def _is_a_credential(case: Case[Any], response: Response) -> bool:
    """Tell whether tokens are asked for: no schema says what a credential is, or how long a form is, encoded."""
    return case.path.startswith("/auth/") and response.status_code in (400, 401, 413, 429)


def _has_parameters_of_lines(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether one item comes with `on_conflict`: OpenAPI cannot say that a parameter goes with one media type."""
    return case.method == "POST" and fields == {""} and "on_conflict" in (case.query or {})


def _has_pages_of_lines(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether lines are asked for with parameters that go with the other media type."""
    headers: Any = case.headers or {}
    is_of_pages = bool(fields) and fields <= {"limit", "cursor", "skip", "include_total"}
    return is_of_pages and "application/x-ndjson" in str(headers.get("accept", ""))


def _problem(response: Response) -> dict[str, Any]:
    if response.headers.get("content-type") != ["application/problem+json"]:
        return {}
    problem: dict[str, Any] = response.json()
    return problem
