"""Keys for purposes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.derived_keys import derive_key
from tests.unit.security.tokens import SECRET


@given(st.binary(min_size=32), st.binary(min_size=32), st.text(max_size=40), st.text(max_size=40))
def test_key_follows_from_secret_and_purpose_alone(one: bytes, other: bytes, purpose: str, another: str) -> None:
    key = derive_key(one, purpose)
    assert len(key) == 32
    assert (key == derive_key(other, another)) == ((one, purpose) == (other, another))


def test_keys_stay_what_they_are() -> None:
    assert derive_key(SECRET, "test").hex() == "ef787f00819f24d347f7dd373212945ba72349cee43ce92c010d0330bf6c0e63"


@pytest.mark.parametrize("length", [0, 1, 31])
def test_short_secret_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        derive_key(bytes(length), "test")
