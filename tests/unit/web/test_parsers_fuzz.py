"""Parsers refuse whatever they cannot read, and fail for nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.drafts import bytes_like, header_like, json_like, query_like
from tests.fuzz.parsers import TARGETS, Target

DRAFTS = {
    "body": json_like,
    "patch": json_like,
    "json": json_like,
    "lines": st.lists(json_like, max_size=3).map(b"\n".join),
    "query": query_like,
    "path": query_like,
    "header": header_like,
    "token_form": query_like.map(lambda text: b"grant_type=password&" + text),
}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_parser_only_refuses(name: str, data: st.DataObject) -> None:
    target: Target = TARGETS[name]
    target(data.draw(DRAFTS[name] | bytes_like))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"%00",
        b"%ff",
        b"%ed%a0%80",
        b"%",
        b"%2",
        b"&&==",
        b"=" * 5000,
        b"[" * 5000,
        b'"',
    ],
)
def test_a_parser_knows_these(name: str, data: bytes) -> None:
    TARGETS[name](data)
