"""Responses as bytes, however they are cut, and however they are damaged."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.shared.clients.http_response import ResponseReader, StreamedResponseReader
from sarvanom.shared.clients.transport import Response
from sarvanom.shared.errors import UpstreamFailed

NAMES = st.sampled_from([b"ETag", b"x-request-id", b"Content-Type"])
VALUES = st.from_regex(rb"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)


@dataclass(frozen=True)
class Case:
    """A valid response on the wire, and what it means."""

    raw: bytes
    meaning: Response
    ends_with_connection: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    status = draw(st.sampled_from([200, 201, 404, 503]))
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    parts = draw(st.lists(st.binary(min_size=1, max_size=30), max_size=4))
    body = b"".join(parts)
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    lines = [b"%s: %s\r\n" % pair for pair in headers]
    meaning = [(name.lower(), value) for name, value in headers]
    if framing == "length":
        lines.append(b"content-length: %d\r\n" % len(body))
        meaning.append((b"content-length", b"%d" % len(body)))
    elif framing == "chunked":
        lines.append(b"transfer-encoding: chunked\r\n")
        parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]
    early = b"".join(draw(st.lists(st.just(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"), max_size=2)))
    raw = early + b"HTTP/1.1 %d Said\r\n" % status + b"".join(lines) + b"\r\n" + b"".join(parts)
    return Case(raw, Response(status, meaning, body), framing == "end")


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(raw), *(place % (len(raw) + 1) for place in places)})
    return [raw[start:end] for start, end in pairwise(bounds)]


def read(reader: ResponseReader, pieces: list[bytes]) -> Response | None:
    """Feed the pieces up to the end of the answer."""
    for piece in pieces:
        if (response := reader.feed(piece)) is not None:
            return response
    return None


@given(cases(), st.lists(st.integers(min_value=0), max_size=8))
def test_answer_means_the_same_however_it_is_cut(case: Case, places: list[int]) -> None:
    reader = ResponseReader(10_000)
    assert not reader.answered
    response = read(reader, cut(case.raw, places))
    assert reader.answered
    assert reader.reusable is not case.ends_with_connection
    assert (response or reader.finish()) == case.meaning


@given(cases(), cases(), st.lists(st.integers(min_value=0), max_size=8))
def test_one_reader_reads_one_answer_after_the_other(first: Case, second: Case, places: list[int]) -> None:
    reader = ResponseReader(10_000)
    if not first.ends_with_connection:
        assert read(reader, cut(first.raw, places)) == first.meaning
        reader.expect(bodiless=False)
    assert (read(reader, cut(second.raw, places)) or reader.finish()) == second.meaning


@given(cases(), st.lists(st.integers(min_value=0), max_size=8), st.data())
def test_damaged_answer_is_an_answer_or_an_error(case: Case, places: list[int], data: st.DataObject) -> None:
    raw = bytearray(case.raw)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    reader = ResponseReader(10_000)
    reader.expect(bodiless=data.draw(st.booleans()))
    try:
        response = read(reader, cut(bytes(raw), places)) or reader.finish()
    except UpstreamFailed:
        return
    assert 200 <= response.status < 1000


@given(cases(), st.integers(min_value=1))
def test_answer_with_a_tail_is_handed_over_and_the_connection_is_not(case: Case, place: int) -> None:
    if case.ends_with_connection:
        return
    reader = ResponseReader(10_000)
    tail = (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil" * 2)[: 1 + place % 80]
    assert reader.feed(case.raw + tail) == case.meaning
    assert not reader.reusable


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"])
def test_cut_off_answer_is_none(raw: bytes) -> None:
    reader = ResponseReader(10_000)
    if raw:
        reader.feed(raw)
    with pytest.raises(UpstreamFailed, match="broke off"):
        reader.finish()


def test_endless_head_hits_the_bound() -> None:
    reader = ResponseReader(10_000)
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(UpstreamFailed, match="larger"):
        read(reader, [b"x: y\r\n"] * 2_000)


def stream(pieces: list[bytes]) -> tuple[Response | None, bytes, bool]:
    """Feed the pieces, taking after each; return the answer, or what came of it and whether it failed."""
    reader = StreamedResponseReader()
    taken = bytearray()
    try:
        for piece in pieces:
            reader.feed(piece)
            taken += reader.take()
        reader.finish()
    except UpstreamFailed:
        return None, bytes(taken + reader.take()), True
    assert reader.head is not None
    assert reader.is_complete
    return Response(*reader.head, bytes(taken)), bytes(taken), False


def repeat(reader: StreamedResponseReader, part: bytes) -> None:
    for _ in range(20_000):
        reader.feed(part)


@given(cases(), st.lists(st.integers(min_value=0), max_size=8))
def test_streamed_answer_means_the_same_however_it_is_cut(case: Case, places: list[int]) -> None:
    assert stream(cut(case.raw, places))[0] == case.meaning


@given(cases(), st.integers(min_value=0), st.lists(st.integers(min_value=0), max_size=8))
def test_streamed_answer_that_is_cut_short_is_an_error(case: Case, end: int, places: list[int]) -> None:
    raw = case.raw[: end % len(case.raw)]
    answer, came, failed = stream(cut(raw, places))
    assert case.meaning.body.startswith(came)
    assert failed or (answer is not None and case.ends_with_connection)


@given(cases(), st.lists(st.integers(min_value=0), max_size=8), st.data())
def test_damaged_stream_fails_the_same_however_it_is_cut(case: Case, places: list[int], data: st.DataObject) -> None:
    raw = bytearray(case.raw)
    place = data.draw(st.integers(0, len(raw)))
    raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    assert stream(cut(bytes(raw), places)) == stream([bytes(raw)])


@pytest.mark.parametrize("part", [b"x: y\r\n", b"HTTP/1.1 102 Wait\r\n\r\n"])
def test_endless_head_of_a_stream_hits_the_bound(part: bytes) -> None:
    reader = StreamedResponseReader()
    reader.feed(b"" if part.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(UpstreamFailed, match="larger"):
        repeat(reader, part)


def test_endless_trailer_of_a_stream_hits_the_bound_and_an_endless_body_does_not() -> None:
    reader = StreamedResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(20_000):
        reader.feed(b"1;extension=x\r\ny\r\n")
        assert reader.take() == b"y"
    reader.feed(b"0\r\n")
    with pytest.raises(UpstreamFailed, match="larger"):
        repeat(reader, b"x: y\r\n")
