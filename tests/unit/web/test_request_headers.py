"""Entity tags and media types, as RFC 9110 writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.shared.errors import InvalidHeader, UnsupportedMediaType
from sarvanom.shared.preconditions import ANY, NO_PRECONDITIONS, Preconditions
from sarvanom.web.request_headers import (
    JSON,
    MERGE_PATCH,
    NDJSON,
    check_media_type,
    conditional_headers,
    declares,
    parse_preconditions,
)
from tests.unit.web.asgi import http_scope

IF_MATCH, IF_NONE_MATCH = b"if-match", b"if-none-match"
# RFC 9110, section 8.8.3: etagc = %x21 / %x23-7E / obs-text
OPAQUE = st.text([chr(code) for code in [0x21, *range(0x23, 0x7F), *range(0x80, 0x100)]], max_size=6)
TAGS = st.tuples(st.booleans(), OPAQUE)
OWS = st.sampled_from(["", " ", "\t", " \t "])


def written(tags: list[tuple[bool, str]], spaces: list[str]) -> bytes:
    """Return tags as a header's value, with white space wherever it may stand."""
    quoted = [("W/" if weak else "") + f'"{opaque}"' for weak, opaque in tags]
    gaps = iter(spaces * len(quoted) * 2)
    return ",".join(next(gaps) + tag + next(gaps) for tag in quoted).encode("latin-1")


@given(st.lists(TAGS, min_size=1, max_size=4), st.lists(OWS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=200)
def test_tags_are_read_as_they_were_written(tags: list[tuple[bool, str]], spaces: list[str]) -> None:
    value = written(tags, spaces)
    assert parse_preconditions([(IF_NONE_MATCH, value)]).if_none_match == frozenset(f'"{tag}"' for _, tag in tags)
    strong = frozenset(f'"{tag}"' for weak, tag in tags if not weak)
    assert parse_preconditions([(IF_MATCH, value)]).if_match == strong


@given(st.binary(max_size=12) | st.text('W/", *a\t', max_size=12).map(str.encode))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_tags_or_refused(value: bytes) -> None:
    try:
        tags = parse_preconditions([(IF_NONE_MATCH, value)]).if_none_match
    except InvalidHeader as error:
        message = error.detail
    else:
        assert tags is not None
        message = ""
    assert message in {"", 'If-None-Match must be * or quoted entity tags, such as "17"'}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"7",
        b'"',
        b'"7',
        b'7"',
        b"'7'",
        b'"7" "8"',
        b'"7";"8"',
        b'w/"7"',
        b'W/ "7"',
        b'"a b"',
        b"*, *",
        b'*,"7"',
    ],
)
@pytest.mark.parametrize("name", [IF_MATCH, IF_NONE_MATCH])
def test_value_that_is_no_list_of_tags_is_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(InvalidHeader, match=name.decode().title()):
        parse_preconditions([(name, value)])


@pytest.mark.parametrize("value", [b', "7"', b'"7",', b'"6",, "7"', b'"6" , ,"7"'])
def test_empty_elements_of_a_list_are_ignored(value: bytes) -> None:
    """RFC 9110, section 5.6.1.2: a recipient must."""
    tags = parse_preconditions([(IF_MATCH, value)]).if_match
    assert tags is not None
    assert '"7"' in tags


@pytest.mark.parametrize("value", [b"*", b" *", b"*\t"])
def test_star_stands_for_any(value: bytes) -> None:
    assert parse_preconditions([(IF_MATCH, value)]) == Preconditions(if_match=ANY)
    assert parse_preconditions([(IF_NONE_MATCH, value)]).creates


def test_star_in_quotes_is_a_tag_that_nothing_has() -> None:
    parsed = parse_preconditions([(IF_NONE_MATCH, b'"*"')])
    assert not parsed.creates
    assert not parsed.is_unchanged(7)


def test_several_headers_of_one_name_are_one_list() -> None:
    parsed = parse_preconditions([(IF_MATCH, b'"1"'), (IF_NONE_MATCH, b'"2"'), (IF_MATCH, b'"3", "1"')])
    assert parsed == Preconditions(if_match=frozenset({'"1"', '"3"'}), if_none_match=frozenset({'"2"'}))


def test_weak_tags_alone_match_nothing_where_comparison_is_strong() -> None:
    parsed = parse_preconditions([(IF_MATCH, b'W/"7"')])
    assert parsed.if_match == frozenset()


def test_long_list_of_tags_is_read_in_time_that_grows_with_it() -> None:
    tags = b",".join(b'"%d"' % number for number in range(5_000))
    assert len(parse_preconditions([(IF_MATCH, tags)]).if_match or ()) == 5_000
    with pytest.raises(InvalidHeader):
        parse_preconditions([(IF_MATCH, tags + b" " * 50_000 + b"x")])


def test_request_without_conditions_has_none() -> None:
    assert parse_preconditions([]) is NO_PRECONDITIONS


def test_conditional_headers_are_found_as_they_came() -> None:
    headers = [(b"accept", b"*/*"), (IF_MATCH, b'"1"'), (b"if-range", b'"1"'), (IF_NONE_MATCH, b"*"), (IF_MATCH, b"x")]
    assert conditional_headers(http_scope(headers=headers)) == [headers[1], headers[3], headers[4]]


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b" application/json ",
        b"application/json;",
        b"application/json;charset=utf-8",
        b"application/json ; Charset=UTF-8",
        b'application/json; charset="utf-8"',
    ],
)
def test_json_in_utf8_is_taken(value: bytes) -> None:
    check_media_type(http_scope(headers=[(b"content-type", value)]), (JSON,))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"text/plain",
        b"application/jsonx",
        b"application/json, text/plain",
        b"application/problem+json",
        b"application/json; charset=latin-1",
        b"application/json; charset=utf-16",
        b"application/merge-patch+json",
        b"\xff",
    ],
)
def test_anything_else_is_refused_with_what_would_be_taken(value: bytes | None) -> None:
    headers = [] if value is None else [(b"content-type", value)]
    with pytest.raises(UnsupportedMediaType, match="application/json in UTF-8") as caught:
        check_media_type(http_scope(headers=headers), (JSON,))
    assert caught.value.headers == {"Accept": JSON}


def test_patch_is_taken_as_either_type() -> None:
    for value in (JSON, MERGE_PATCH):
        check_media_type(http_scope(headers=[(b"content-type", value.encode())]), (MERGE_PATCH, JSON))
    with pytest.raises(UnsupportedMediaType) as caught:
        check_media_type(http_scope(headers=[(b"content-type", b"text/plain")]), (MERGE_PATCH, JSON))
    assert caught.value.headers == {"Accept": f"{MERGE_PATCH}, {JSON}"}


@pytest.mark.parametrize("first", [b"application/json", b"application/x-ndjson", b""])
@pytest.mark.parametrize("second", [b"application/json", b"application/x-ndjson", b""])
def test_two_media_types_are_refused_whichever_is_read(first: bytes, second: bytes) -> None:
    scope = http_scope("POST", headers=[(b"content-type", first), (b"content-type", second)])
    with pytest.raises(InvalidHeader, match="more than once"):
        check_media_type(scope, (JSON, NDJSON))
    with pytest.raises(InvalidHeader, match="more than once"):
        declares(scope, NDJSON)


@pytest.mark.parametrize("codings", [[b"gzip", b"identity"], [b"identity", b"gzip"]])
def test_a_body_is_compressed_if_any_header_says_so(codings: list[bytes]) -> None:
    given = [(b"content-type", JSON.encode()), *((b"content-encoding", coding) for coding in codings)]
    with pytest.raises(UnsupportedMediaType):
        check_media_type(http_scope("POST", headers=given), (JSON,))
