"""Text as lower-case ASCII."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.inspection.folding import LINE_END, fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Select", b"select"),
        ("\uff33\uff25\uff2c\uff25\uff23\uff34 \uff1c\uff07", b"select <'"),
        ("\U0001d42c\U0001d41e\U0001d425\U0001d41e\U0001d41c\U0001d42d", b"select"),
        ("\u017felect \u212a", b"select k"),
        ("\u2018x\u2019 \u201cy\u201d \u02bcz", b"'x' \"y\" 'z"),
        ("a\u00a0b\u3000c\u2028d", b"a b c d"),
        ("s\u200be\u00adl\u2060ect", b"select"),
        ("sel\0ect", b"select"),
        ("a\tb\r\nc\x0bd\x7fe", b"a b \tc d e"),
        ("\u0438\u043b\u0438 1=1", b"zzz 1=1"),
        ("\u0661\u0662\u0663", b"123"),
        ("e\u0301t\u00e9", b"etz"),
        ("\u4f60\u597d\u3002", b"zz "),
        ("\U00020000", b"zzzz"),
        ("\u00bd", b"1 2"),
        ("\ud800", b" "),
        ("scr\u0131pt", b"script"),
        ("a\u2013b\u2014c", b"a--b-c"),
        ("a\u00b4 b", b"a' b"),
    ],
)
def test_a_text_is_folded(text: str, folded: bytes) -> None:
    assert fold(text) == folded


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_folded_is_printable_ascii_in_lower_case(text: str) -> None:
    folded = fold(text)
    assert all(0x20 <= byte < 0x7F or byte == LINE_END for byte in folded)
    assert folded == folded.lower()
    assert fold(folded.decode()) == folded.replace(b"\t", b" ")


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_is_folded_alike_beside_much_ascii(text: str) -> None:
    """Few characters beyond ASCII are looked up in another way than many."""
    assert fold("x" * 4096 + text) == b"x" * 4096 + fold(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_compatibility_form_folds_as_what_it_stands_for(text: str) -> None:
    wide = "".join(chr(ord(character) + 0xFEE0) if character != " " else "\u3000" for character in text)
    assert unicodedata.normalize("NFKC", wide) == text
    assert fold(wide) == fold(text)


@given(st.text(st.characters(exclude_categories=())))
def test_folding_bounds_what_it_makes(text: str) -> None:
    assert len(fold(text)) <= 18 * len(text), "no compatibility form is longer than 18 characters"
