"""Lines out of chunks: the same however they are cut, none kept that is too long."""

from hypothesis import given
from hypothesis import strategies as st

from sarvanom.web.bulk_lines import Line, LineSplitter, read_lines

LIMIT = 8
texts = st.lists(
    st.sampled_from([b"", b" ", b"\t", b"a", b"ab\r", b"\r", b"12345678", b"1234567\r", b"x" * 9, b"x" * 30])
)


def split(chunks: list[bytes], limit: int = LIMIT) -> list[Line]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + list(splitter.finish())


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(texts, st.booleans(), st.lists(st.integers(0, 200)))
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], ended: bool, places: list[int]) -> None:
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    expected = [
        Line(number, line.removesuffix(b"\r") if len(line) <= LIMIT else None)
        for number, line in enumerate(lines, 1)
        if line.strip() or len(line) > LIMIT
    ]
    assert split(cut(text, places)) == expected


def test_of_a_line_that_is_too_long_nothing_is_kept() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 7)) == []
        assert sum(map(len, splitter._parts)) <= LIMIT
    assert list(splitter.feed(b"\nab\n")) == [Line(1, None), Line(2, b"ab")]


def test_a_long_blank_line_is_too_long() -> None:
    assert split([b" " * 9 + b"\n"]) == [Line(1, None)]


async def test_a_stream_of_chunks_is_read_to_its_end() -> None:
    async def chunks() -> object:
        for chunk in (b"a\nb", b"c\n", b"", b"d"):
            yield chunk

    lines = [line async for line in read_lines(chunks(), LIMIT)]  # type: ignore[arg-type]
    assert lines == [Line(1, b"a"), Line(2, b"bc"), Line(3, b"d")]
