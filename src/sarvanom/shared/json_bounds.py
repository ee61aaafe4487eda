"""What a JSON text may not hold although its grammar allows it (RFC 7493, section 2.3)."""

import json
from typing import Any, Final

from jiter import from_json

from sarvanom.shared.errors import MAX_FIELD_LENGTH, FieldError, ValidationFailed

MAX_JSON_KEYS: Final = 100_000
_SHORTEST_MEMBER: Final = len(b'"":0')
_DUPLICATE: Final = "Detected duplicate key"
LARGE: Final = 64 * 2**10
"""In bytes: what is longer is read no more often than it must be; nothing shorter has more than `MAX_JSON_KEYS`."""
_TWICE: Final = "Must stand once in its object: readers disagree which one counts"


def check_json(text: bytes) -> None:
    """Refuse a text in which a key stands twice in one object, or that has more keys than `MAX_JSON_KEYS`.

    What is no JSON at all is left to whoever reads it next.

    Raises:
        ValidationFailed: it names the key's place as a dotted path, and as a JSON pointer (RFC 6901); in a text of more
            than 64 KiB as a line and a column.
    """
    if len(text) > _SHORTEST_MEMBER * MAX_JSON_KEYS and text.count(b":") > MAX_JSON_KEYS:
        _check_count(text)  # first, for to look for equal keys among a million takes twice as long as to count them
    try:
        from_json(text, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        if str(error).startswith(_DUPLICATE):
            _refuse_duplicate(text, str(error))


class _Members(list[tuple[str, Any]]):
    """The members of an object, in their order and with those that it has twice."""


def _refuse_duplicate(text: bytes, error: str) -> None:
    if len(text) > LARGE:  # to read it once more by Python's parser takes 0.7 s a MiB
        position = error.rpartition(" at ")[2]  # the message ends so: "at line 1 column 14"
        raise ValidationFailed(
            f"The body has a key twice in one object, at {position}", errors=[FieldError("", _TWICE)]
        )
    try:
        document = json.loads(text, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        # Behind the key the text is broken, and will be refused for that.
        return
    path = _path_of_duplicate(document)
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)
    raise ValidationFailed(
        f"The body has a key twice in one object: {pointer[:MAX_FIELD_LENGTH]}",
        errors=[FieldError(".".join(path), _TWICE)],
    )


def _path_of_duplicate(document: Any) -> list[str]:
    """Return where the first key stands that its object has twice, looking from the outside in."""
    level: list[tuple[list[str], Any]] = [([], document)]
    while level:
        deeper: list[tuple[list[str], Any]] = []
        for path, value in level:
            seen = set[str]()
            for name, item in _items(value):
                if name in seen:
                    return [*path, name]
                seen.add(name)
                if isinstance(item, list):
                    deeper.append(([*path, name], item))
        level = deeper
    return []


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, _Members):
        return [(_shown(name), item) for name, item in value]
    return [(str(index), item) for index, item in enumerate(value)] if isinstance(value, list) else []


def _shown(name: str) -> str:
    """Return the name as an answer can hold it: without lone surrogates."""
    return name.encode("utf-8", "replace").decode()


def _check_count(text: bytes) -> None:
    try:
        value = from_json(text, cache_mode="none")
    except ValueError:
        return
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            count += len(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    if count > MAX_JSON_KEYS:
        raise ValidationFailed(
            f"The body has more than {MAX_JSON_KEYS} keys", errors=[FieldError("", f"Has {count} keys: too many")]
        )
