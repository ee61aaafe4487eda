"""Encodings undone, layer by layer."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inspection.encodings import ENCODINGS
from sarvanom.security.inspection.decoding import ROUNDS, decode
from sarvanom.security.inspection.folding import LINE_END, fold

ATTACK = "' or 7=7 -- <script>"
UNDONE = [name for name in ENCODINGS if name != "SQL comments"]
"""Comments are no encoding: stripping them is the next step."""


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"%3cb%3e", b"<b>"),
        (b"%u003cb", b"<b"),
        (b"%uff1cb", b"<b"),
        (b"%ef%bc%9cb", b"<b"),
        (b"%c0%bcb%c1%a3", b"<bc"),
        (b"%c0x", b" x"),
        (b"%25253cb", b"<b"),
        (b"%2525252525253cb", b"<b"),
        (b"%zz 100%", b"%zz 100%"),
        (b"%%27 %% %", b"%' %% %"),
        (b"a=b%3dc%=41%1f", b"a=b=c%=41 "),
        (b"%0ab", b"\tb"),
        (b"&lt;b&gt;", b"<b>"),
        (b"&ltb&gt", b"<b>"),
        (b"&#60;b&#62", b"<b>"),
        (b"&#0000000060b", b"<b"),
        (b"&#x3c;s", b"<s"),
        (b"&#x000003cs", b"<s"),
        (b"&amp;lt;b", b"<b"),
        (b"&amp;amp;amp;lt;b", b"<b"),
        (b"java&tab;script&colon;alert&lpar;7&rpar;", b"java script:alert(7)"),
        (b"&#99999999;x&#xffffffffff;", b" x "),
        (b"&unknown; & &# &;", b"&unknown; & &# &;"),
        (b"\\x3cb\\u003e", b"<b>"),
        (b"\\u{3c}b\\u{00003e}", b"<b>"),
        (b"\\u{110000}b", b" b"),
        (b"\\74b", b"<b"),
        (b"\\u{zz} \\xzz", b"u{zz} xzz"),
        (b"al\\ert", b"alert"),
        (b"a\\nb\\tc\\0d", b"a b cd"),
        (b"\\\\u003cb", b"<b"),
        (b"%5cu003cb", b"<b"),
        (b"1+or+7=7", b"1 or 7=7"),
        (b"1 + 1", b"1 + 1"),
        (b"\\ud83d\\ude00", b"      "),
    ],
)
def test_an_encoding_is_undone(encoded: bytes, decoded: bytes) -> None:
    assert decode(encoded) == decoded


@pytest.mark.parametrize("text", [b"", b"plain", b"' or 7=7 --", b"a/b?c=d"])
def test_what_is_not_encoded_is_the_same_object(text: bytes) -> None:
    assert decode(text) is text


@pytest.mark.parametrize("name", UNDONE)
@pytest.mark.parametrize("again", UNDONE)
def test_every_encoding_is_undone_inside_of_every_other(name: str, again: str) -> None:
    encoded = ENCODINGS[again](ENCODINGS[name](ATTACK))
    assert decode(fold(encoded)).replace(b"\t", b" ") == ATTACK.encode()


def test_the_layers_are_bounded() -> None:
    text = "<"
    for _ in range(ROUNDS + 1):
        text = "".join(f"&#{ord(character)};" for character in text)
    assert decode(text.encode()) != b"<"


@given(st.lists(st.sampled_from([*"%&\\#;xu{}0123456789abcdef+ <", "%25", "&amp;", "&lt;", "\\u00", "%c0"])))
def test_decoding_never_fails_and_makes_ascii(parts: list[str]) -> None:
    assert all(0x20 <= byte < 0x7F or byte == LINE_END for byte in decode(fold("".join(parts))))


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="%&\\+")))
def test_what_is_quoted_any_number_of_times_is_one_text(text: str) -> None:
    once = quote(text)
    assert decode(fold(once)) == decode(fold(quote(once))) == decode(fold(quote(quote(once)))) == fold(text)
