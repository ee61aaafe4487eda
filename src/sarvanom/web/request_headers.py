"""The request headers that a call depends on: preconditions (RFC 9110, section 13) and the media type of the body."""

import re
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from sarvanom.shared.errors import InvalidHeader, UnsupportedMediaType
from sarvanom.shared.preconditions import ANY, NO_PRECONDITIONS, Preconditions
from sarvanom.web.calls import Headers

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"

_TAG: Final = b"\0"
"""Stands for a tag in a list of tags; no header holds it."""
_entity_tag: Final = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def conditional_headers(scope: Scope) -> Headers:
    """Return `If-Match` and `If-None-Match` as they came."""
    return [header for header in scope["headers"] if header[0] in (b"if-match", b"if-none-match")]


def parse_preconditions(headers: Headers) -> Preconditions:
    """Return the preconditions that conditional headers state.

    Raises:
        InvalidHeader: a value is neither `*` nor a list of quoted entity tags.
    """
    if not headers:
        return NO_PRECONDITIONS
    given: dict[bytes, frozenset[str]] = {}
    for name, value in headers:
        given[name] = given.get(name, frozenset()) | _parse_tags(name, value, weak=name == b"if-none-match")
    return Preconditions(given.get(b"if-match"), given.get(b"if-none-match"))


def _parse_tags(name: bytes, value: bytes, *, weak: bool) -> frozenset[str]:
    """Return the tags without their weakness; where comparison is strong, weak ones match nothing and are left out."""
    if value.strip(b" \t") == b"*":
        return ANY
    between = _entity_tag.sub(_TAG, value).split(b",")
    tags = list(_entity_tag.finditer(value))
    if not tags or any(part.strip(b" \t") not in (b"", _TAG) for part in between):
        raise InvalidHeader(f'{name.decode().title()} must be * or quoted entity tags, such as "17"')
    return frozenset(tag[2].decode("latin-1") for tag in tags if weak or tag[1] is None)


def check_media_type(scope: Scope, accepted: tuple[str, ...]) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        UnsupportedMediaType: the Content-Type is missing, another, or names a charset that is not UTF-8; or the body is
            compressed.
    """
    given = b""
    is_encoded = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value
        elif name == b"content-encoding":
            is_encoded = value.strip().lower() not in (b"", b"identity")
    if is_encoded or not _is_accepted(given, accepted):
        raise UnsupportedMediaType(
            f"The body must be sent as {' or '.join(accepted)} in UTF-8", headers={"Accept": ", ".join(accepted)}
        )


@lru_cache(maxsize=64)
def _is_accepted(content_type: bytes, accepted: tuple[str, ...]) -> bool:
    """Tell whether the media type is accepted, in UTF-8; parameters but the charset mean nothing to JSON."""
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = {parameter[8:].strip('"') for parameter in parameters if parameter.startswith("charset=")}
    return media_type in accepted and charsets <= {"utf-8"}
