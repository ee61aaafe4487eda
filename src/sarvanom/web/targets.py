"""What a request may be about: a path, or the same as a whole URL (RFC 9112, section 3.2)."""

import re
from collections.abc import Iterable
from typing import Final

from sarvanom.shared.errors import MalformedRequest

_of_url: Final = re.compile(rb"https?://([^/?#@\\]+)/[^#]*", re.IGNORECASE).fullmatch


def check_target(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse what two readers may take for two things.

    Raises:
        MalformedRequest: the target has a fragment, is no path, or is a URL of another host than `Host` names.
    """
    if target[:1] == b"/" and b"#" not in target:
        return
    found = _of_url(target)
    if found is None:
        raise MalformedRequest("The target must be a path, and a query if need be, or a URL without a fragment")
    host = found[1].lower()
    if any(value.strip().lower() != host for name, value in headers if name == b"host"):
        raise MalformedRequest("The target and the Host header name different hosts")
