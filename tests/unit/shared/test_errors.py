"""Errors: each has its own code and status, and crosses the wire by its code."""

from http import HTTPStatus

import pytest

from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    ResourceConflict,
    ResourceNotFound,
    SarvanOMError,
    error_from_code,
)

# Tests have errors of their own, which may be there or not.
CLASSES = [error for error in SarvanOMError.by_code.values() if error.__module__.startswith("sarvanom.")]


def subclasses(parent: type[SarvanOMError]) -> list[type[SarvanOMError]]:
    return [found for child in parent.__subclasses__() for found in (child, *subclasses(child))]


def test_no_two_errors_share_a_code() -> None:
    found = [error for error in subclasses(SarvanOMError) if error.__module__.startswith("sarvanom.")]
    assert len({error.code for error in found}) == len(found) == len(CLASSES)
    assert {error.code: error for error in found}.items() <= SarvanOMError.by_code.items()


@pytest.mark.parametrize("error", CLASSES)
def test_error_has_a_status_of_failure_and_words_of_its_own(error: type[SarvanOMError]) -> None:
    assert HTTPStatus(error.status) >= 400
    assert error.code.isidentifier()
    assert error.code == error.code.lower()
    assert error.title[0].isupper()
    assert error.__doc__


@pytest.mark.parametrize("error", CLASSES)
def test_error_is_rebuilt_from_its_code(error: type[SarvanOMError]) -> None:
    errors = [FieldError("a.b", "Is taken")]
    rebuilt = error_from_code(error.code, "What happened", errors=errors, headers={"Retry-After": "1"})
    assert type(rebuilt) is error
    assert rebuilt.detail == str(rebuilt) == "What happened"
    assert rebuilt.errors == tuple(errors)
    assert rebuilt.headers == {**error.default_headers, "Retry-After": "1"}


def test_unknown_code_becomes_an_internal_error() -> None:
    assert type(error_from_code("tea_time", "?")) is InternalError


def test_error_says_nothing_but_its_detail_unless_told_more() -> None:
    error = ResourceNotFound("There is no user 'ada'")
    assert (error.errors, error.headers) == ((), {})


def test_error_keeps_copies_of_what_it_was_given() -> None:
    errors, headers = [FieldError("id", "Is taken")], {"Allow": "GET"}
    error = ResourceConflict("Taken", errors=errors, headers=headers)
    errors.clear()
    headers.clear()
    assert error.errors == (FieldError("id", "Is taken"),)
    assert error.headers == {"Allow": "GET"}
