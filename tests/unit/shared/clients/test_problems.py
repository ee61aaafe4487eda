"""Errors that cross the wire as themselves."""

import json

import pytest

from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Response
from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    ResourceNotFound,
    SarvanOMError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    ValidationFailed,
)


def problem(status: int, /, *headers: tuple[bytes, bytes], **members: object) -> Response:
    media_type = (b"content-type", b"application/problem+json; charset=utf-8")
    return Response(status, [media_type, *headers], json.dumps(members).encode())


@pytest.mark.parametrize("code", sorted(SarvanOMError.by_code))
def test_every_code_becomes_its_class(code: str) -> None:
    error = error_from_response(problem(400, code=code, detail="So it is", title="x", status=400, request_id="r"))
    assert type(error) is SarvanOMError.by_code[code]
    assert error.detail == "So it is"


def test_refused_fields_come_along() -> None:
    errors = [{"field": "email", "message": "Must have an @"}]
    error = error_from_response(problem(422, code="validation_failed", errors=errors))
    assert type(error) is ValidationFailed
    assert error.errors == (FieldError("email", "Must have an @"),)


def test_headers_that_a_caller_acts_on_come_along() -> None:
    headers = ((b"retry-after", b"7"), (b"allow", b"GET"), (b"sarvanom-oldest-revision", b"3"), (b"server", b"x"))
    error = error_from_response(problem(503, *headers, code="service_unavailable", detail="Busy"))
    assert error.headers == {"Retry-After": "7", "Allow": "GET", "SarvanOM-Oldest-Revision": "3"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, UpstreamFailed),
        (503, ServiceUnavailable),
        (504, UpstreamTimeout),
        (500, InternalError),
        (302, InternalError),
    ],
)
@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (b"text/html", b"<html>"),
        (b"application/problem+json", b"{"),
        (b"application/problem+json", b'{"detail": "no code"}'),
        (b"application/json", b'{"code": "not_found"}'),
    ],
)
def test_what_is_no_problem_goes_by_its_status(
    status: int, expected: type[Exception], media_type: bytes, body: bytes
) -> None:
    error = error_from_response(Response(status, [(b"content-type", media_type)], body))
    assert type(error) is expected
    assert str(status) in error.detail


def test_answer_without_a_media_type() -> None:
    assert type(error_from_response(Response(404, [], b""))) is InternalError


def test_code_that_is_unknown_here_is_told() -> None:
    error = error_from_response(problem(418, code="teapot", detail="Short and stout"))
    assert type(error) is InternalError
    assert error.detail == "The service answered 418: teapot, Short and stout"


def test_not_found_is_not_found() -> None:
    assert isinstance(error_from_response(problem(404, code="not_found", detail="No")), ResourceNotFound)
