"""Errors as RFC 9457 problem details, rendered in one place for raw ASGI and for FastAPI."""

from collections.abc import Sequence
from http import HTTPStatus

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope, Send

from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    MalformedJSON,
    MethodNotAllowed,
    RouteNotFound,
    SarvanOMError,
    ValidationFailed,
)
from sarvanom.web.middleware.request_id import request_id

PROBLEM_JSON = "application/problem+json"

_CONTENT_TYPE = (b"content-type", PROBLEM_JSON.encode())


def problem_body(error: SarvanOMError, request_id: str) -> bytes:
    """Return the error as the JSON text of a `Problem`, without `errors` if there are none."""
    return _render(error.title, error.status, error.code, error.detail, request_id, error.errors)


async def send_problem(scope: Scope, send: Send, error: SarvanOMError) -> None:
    """Answer the request with the error; an answer to HEAD has the headers alone."""
    body = problem_body(error, request_id(scope))
    headers = [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    if scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.body", "body": body})


def register_problem_handlers(app: FastAPI) -> None:
    """Make problems of all errors inside the app, those that FastAPI itself raises included."""
    app.add_exception_handler(SarvanOMError, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    # Starlette raises the exception again once this has answered, and `ProblemMiddleware` logs it.
    app.add_exception_handler(Exception, _answer)


def unexpected_error(scope: Scope) -> InternalError:
    """Return what the caller is told of an exception that nobody foresaw."""
    return InternalError(f"Request {request_id(scope)} failed; the log says why")


async def _answer(request: Request, raised: Exception) -> Response:
    if isinstance(raised, SarvanOMError):
        error = raised
    elif isinstance(raised, RequestValidationError):
        error = _invalid(raised)
    elif isinstance(raised, HTTPException):
        refused = _refused(request, raised)
        if refused is None:
            return _answer_by_status(request, raised)
        error = refused
    else:
        error = unexpected_error(request.scope)
    body = problem_body(error, request_id(request.scope))
    return Response(body, error.status, error.headers, PROBLEM_JSON)


def _invalid(error: RequestValidationError) -> SarvanOMError:
    found = error.errors()
    for one in found:
        if one["type"] == "json_invalid":
            return MalformedJSON(f"The body is not valid JSON: {one['ctx']['error']}")
    # The first part of a location says where the field is: body, query, path or header.
    fields = [FieldError(".".join(map(str, one["loc"][1:])), one["msg"]) for one in found]
    return ValidationFailed("The request is not valid", errors=fields)


def _refused(request: Request, error: HTTPException) -> SarvanOMError | None:
    # FastAPI takes any error out of `receive` for an unreadable body, one of ours included.
    if isinstance(error.__cause__, SarvanOMError):
        return error.__cause__
    if error.status_code == RouteNotFound.status:
        return RouteNotFound("There is nothing at this path")
    if error.status_code == MethodNotAllowed.status:
        methods = (error.headers or {}).get("Allow", "").split(", ")
        return MethodNotAllowed(
            f"{request.method} is none of the methods that this path has",
            headers={"Allow": ", ".join(sorted(methods))},
        )
    for known in SarvanOMError.by_code.values():
        if known.status == error.status_code:
            return known(error.detail, headers=error.headers)
    return None


def _answer_by_status(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    id = request_id(request.scope)
    body = _render(status.phrase, status, status.name.lower(), error.detail, id)
    return Response(body, status, error.headers, PROBLEM_JSON)


def _render(
    title: str,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    errors: Sequence[FieldError] = (),
) -> bytes:
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
    if errors:
        problem["errors"] = [one._asdict() for one in errors]
    return orjson.dumps(problem)
