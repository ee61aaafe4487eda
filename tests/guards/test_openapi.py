"""Every change of the interface shows in review."""

import difflib

from tests.guards.update_openapi import SNAPSHOT, current_document


def test_the_openapi_document_is_the_one_that_was_reviewed() -> None:
    expected, found = SNAPSHOT.read_text(), current_document()
    diff = difflib.unified_diff(expected.splitlines(), found.splitlines(), "reviewed", "now", lineterm="", n=2)
    assert found == expected, (
        "The interface has changed. If that is meant: .venv/bin/python -m tests.guards.update_openapi\n"
        + "\n".join(diff)
    )
