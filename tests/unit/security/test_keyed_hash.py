"""The digests are those of HMAC-SHA-256, whatever was made before and in whichever thread."""

import hmac
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from sarvanom.security.keyed_hash import KeyedHash


@given(key=st.binary(min_size=1, max_size=200), texts=st.lists(st.binary(max_size=300), max_size=5))
def test_digests_are_those_of_hmac(key: bytes, texts: list[bytes]) -> None:
    keyed = KeyedHash(key)
    assert [keyed.digest(text) for text in texts] == [hmac.digest(key, text, "sha256") for text in texts]


def test_the_first_case_of_rfc_4231() -> None:
    digest = KeyedHash(b"\x0b" * 20).digest(b"Hi There")
    assert digest.hex() == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"


def test_threads_may_share_it() -> None:
    keyed = KeyedHash(b"key")
    texts = [b"%d" % number * 1_000 for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(keyed.digest, texts)) == [hmac.digest(b"key", text, "sha256") for text in texts]
