"""The texts of a request that are inspected: where each stands, and how closely it is looked at."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from pydantic import JsonValue
from starlette.types import Scope

from sarvanom.security.inspection.inspector import is_plain
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.resources import RESOURCES, Resource, is_valid_id

INSPECTED_HEADERS: Final = frozenset(
    {
        b"accept-language",
        b"content-disposition",
        b"forwarded",
        b"from",
        b"origin",
        b"prefer",
        b"referer",
        b"user-agent",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-requested-with",
    }
)
"""Those that end up in logs, databases or other programs; never those that hold tokens or cookies."""
PLAIN_QUERY: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@=&,"
"""A query string of these characters alone holds no attack."""
_RESOURCES: Final[Mapping[str, Resource[Any]]] = {resource.collection: resource for resource in RESOURCES}


class Text(NamedTuple):
    """A text of a request.

    `pointer` is a JSON Pointer (RFC 6901) into the body, else `path`, `query/NAME` or `header/NAME`.
    """

    pointer: str
    value: str
    profile: Profile


def find_resource(path: str) -> Resource[Any] | None:
    """Return the resource whose collection is the first segment of a path."""
    return _RESOURCES.get(path[1:].partition("/")[0])


def path_texts(path: str) -> Iterator[Text]:
    """Yield the segments of a path, and what follows the first of them; no id that obeys the grammar of ids."""
    head, _, rest = path[1:].partition("/")
    if head in _RESOURCES and is_valid_id(rest):
        return
    segments = dict.fromkeys((head, rest, *rest.split("/")))
    yield from (Text("path", segment, Profile.STRICT) for segment in segments)


def query_texts(query_string: bytes) -> Iterator[Text]:
    """Yield the names and values of a query string; no id that obeys the grammar of ids."""
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        yield Text("query", name, Profile.STRICT)
        if name != "id" or not is_valid_id(value):
            yield Text(f"query/{pointer_token(name)}", value, Profile.STRICT)


def header_texts(scope: Scope) -> Iterator[Text]:
    """Yield the values of the headers that are inspected."""
    for name, value in scope["headers"]:
        if name in INSPECTED_HEADERS:
            yield Text(f"header/{name.decode()}", value.decode("latin-1"), Profile.STRICT)


def item_texts(resource: Resource[Any], item: JsonValue, pointer: str = "") -> Iterator[Text]:
    """Yield the texts of an item, or of a merge patch of one, that are not plain, in the profiles that it declares.

    What is no item at all, and fields that there are none, will be refused, and are strict until then.
    """
    if not isinstance(item, dict):
        if not _is_plain_leaf(item):
            yield from _leaves(item, pointer, Profile.STRICT)
        return
    for name, value in item.items():
        profile = resource.profiles.get(name)
        if profile is None and name not in resource.model.model_fields:
            if not is_plain(name):
                yield Text(pointer, name, Profile.STRICT)
            profile = Profile.STRICT
        if profile is not None and profile is not Profile.OFF and not _is_plain_leaf(value):
            yield from _leaves(value, f"{pointer}/{pointer_token(name)}", profile)


def _leaves(value: JsonValue, pointer: str, profile: Profile) -> Iterator[Text]:
    """Yield the keys and the texts in a value that is no plain leaf; the parser of JSON bounds its depth."""
    if isinstance(value, str):
        yield Text(pointer, value, profile)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not is_plain(key):
                yield Text(pointer, key, profile)
            if not _is_plain_leaf(item):
                yield from _leaves(item, f"{pointer}/{pointer_token(key)}", profile)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not _is_plain_leaf(item):
                yield from _leaves(item, f"{pointer}/{index}", profile)


def _is_plain_leaf(value: JsonValue) -> bool:
    """Tell whether a value holds nothing that has to be looked at; most do, and get no pointer."""
    return is_plain(value) if isinstance(value, str) else not isinstance(value, dict | list)


def pointer_token(key: str) -> str:
    """Return a key as a part of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key
