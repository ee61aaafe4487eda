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
EVENT_STREAM: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

CONDITIONS: Final = (b"if-match", b"if-none-match")
IDEMPOTENCY_KEY: Final = b"idempotency-key"

_TAG: Final = b"\0"
"""Stands for a tag in a list of tags; no header holds it."""
_idempotency_key: Final = re.compile(rb'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')
_quality: Final = re.compile(r"q=([01](?:\.[0-9]{0,3})?)").fullmatch
_entity_tag: Final = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def conditional_headers(scope: Scope) -> Headers:
    """Return `If-Match` and `If-None-Match` as they came."""
    return [header for header in scope["headers"] if header[0] in CONDITIONS]


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


def idempotency_key(scope: Scope) -> str | None:
    """Return the `Idempotency-Key`, which may stand in quotes (draft-ietf-httpapi-idempotency-key-header).

    Raises:
        InvalidHeader: it is given twice, or is not 1 to 255 printable ASCII characters.
    """
    found = [value for name, value in scope["headers"] if name == IDEMPOTENCY_KEY]
    if not found:
        return None
    match = _idempotency_key.fullmatch(found[0].strip(b" \t"))
    if match is None or len(found) > 1:
        raise InvalidHeader("Idempotency-Key must be given once, as 1 to 255 printable ASCII characters")
    return (match[1] or match[2]).decode()


def prefers(scope: Scope, media_type: str) -> bool:
    """Tell whether the caller names a media type in `Accept`, and none of JSON's before it (RFC 9110, 12.5.1)."""
    given = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return bool(given) and _names(given, media_type)


@lru_cache(maxsize=64)
def _names(accept: bytes, media_type: str) -> bool:
    qualities: dict[str, float] = {}
    for item in accept.decode("latin-1").lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        given = [match[1] for parameter in parameters if (match := _quality(parameter))]
        qualities[media_range] = float(given[0]) if given else 1.0
    wanted, json = qualities.get(media_type, 0.0), qualities.get(JSON, 0.0)
    return wanted > json and wanted >= qualities.get("*/*", 0.0)


def declares(scope: Scope, media_type: str) -> bool:
    """Tell whether the body is declared as of a media type, whatever its parameters; raises `InvalidHeader`."""
    return _content_type(scope).partition(b";")[0].strip().lower() == media_type.encode()


def check_media_type(scope: Scope, accepted: tuple[str, ...]) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        UnsupportedMediaType: the Content-Type is missing, another, or names a charset that is not UTF-8; or the body is
            compressed.
        InvalidHeader: the Content-Type is given twice.
    """
    is_encoded = any(
        name == b"content-encoding" and value.strip().lower() not in (b"", b"identity")
        for name, value in scope["headers"]
    )
    if not _is_accepted(_content_type(scope), accepted) or is_encoded:
        raise UnsupportedMediaType(
            f"The body must be sent as {' or '.join(accepted)} in UTF-8", headers={"Accept": ", ".join(accepted)}
        )


def _content_type(scope: Scope) -> bytes:
    """Return the Content-Type, empty if there is none; of two, one reader might take the first, another the last."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            if found is not None:
                raise InvalidHeader("Content-Type is given more than once")
            found = value
    return found or b""


@lru_cache(maxsize=64)
def _is_accepted(content_type: bytes, accepted: tuple[str, ...]) -> bool:
    """Tell whether the media type is accepted, in UTF-8; parameters but the charset mean nothing to JSON."""
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = {parameter[8:].strip('"') for parameter in parameters if parameter.startswith("charset=")}
    return media_type in accepted and charsets <= {"utf-8"}
