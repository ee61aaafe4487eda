"""Where schemathesis is wrong, or a schema cannot say what is right: each excuse with its reason, narrow as can be."""

from typing import Any, Final

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.openapi.checks import RejectedPositiveData

_CONDITIONS: Final = ("if-match", "if-none-match")
_PLACEHOLDER: Final = "0"


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
    return not (isinstance(failure, RejectedPositiveData) and _is_rightly_rejected(case, response))


def _parameter_under_test(case: Case[Any]) -> str | None:
    phase = case.meta.phase if case.meta is not None else None
    name: str | None = getattr(getattr(phase, "data", None), "parameter", None)
    return name


def _is_rightly_rejected(case: Case[Any], response: Response) -> bool:
    """Tell whether valid data was refused for what no schema can say."""
    fields = {error["field"] for error in _problem(response).get("errors", ())}
    return (
        # A cursor is opaque: only one that a list has given is good, and its schema is any text.
        fields == {"cursor"} or _deletes_a_whole_cache(case, fields) or _is_about_another_resource(case, fields)
    )


def _deletes_a_whole_cache(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether neither filter is given: OpenAPI cannot say "at least one of these parameters"."""
    is_invalidation = (case.method, case.path) == ("DELETE", "/cache")
    return is_invalidation and fields == {"tag"} and not {"tag", "service"} & set(case.query or {})


def _is_about_another_resource(case: Case[Any], fields: set[str]) -> bool:
    """Tell whether the body names another id than the path: OpenAPI cannot say that two values must be equal."""
    path, body = case.path_parameters or {}, case.body
    return (
        len(fields) == 1
        and fields == set(path)
        and isinstance(body, dict)
        and any(body.get(name) != value for name, value in path.items())
    )


def _problem(response: Response) -> dict[str, Any]:
    if response.headers.get("content-type") != ["application/problem+json"]:
        return {}
    problem: dict[str, Any] = response.json()
    return problem
