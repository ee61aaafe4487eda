"""What a request may be about."""

import pytest

from sarvanom.shared.errors import MalformedRequest
from sarvanom.web.targets import check_target

HOST = [(b"accept", b"*/*"), (b"host", b"Api.Example:8000")]


@pytest.mark.parametrize(
    "target", [b"/", b"/users?a=b", b"//x", b"http://api.example:8000/users", b"HTTPS://API.EXAMPLE:8000/?a"]
)
def test_path_or_url_of_the_host(target: bytes) -> None:
    check_target(target, HOST)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"users",
        b"/#",
        b"/users#a",
        b"http://api.example:8000",
        b"http://api.example/",
        b"http://evil.example:8000/",
        b"http://api.example:8000@evil.example/",
        b"http://api.example:8000#@evil.example/",
        b"http://api.example:8000\\@evil.example/",
        b"http:///users",
        b"ws://api.example:8000/",
        b"api.example:8000",
    ],
)
def test_anything_else_is_refused(target: bytes) -> None:
    with pytest.raises(MalformedRequest):
        check_target(target, HOST)


def test_url_without_a_host_header_is_left_to_who_asks_for_one() -> None:
    check_target(b"http://api.example/", [])
