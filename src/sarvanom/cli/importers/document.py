"""JSON text as people save it, read strictly: what an ordinary reader would silently lose or bend is refused."""

import json
from typing import NoReturn

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

type JsonObject = dict[str, JsonValue]


class ImportRefused(Exception):
    """The text, or one entry of it, is not what the importer reads; the message, one line, says what would be right."""


def read_json(text: bytes) -> JsonValue:
    """Return the value of a JSON text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        ImportRefused: it is no JSON, or holds a key twice, NaN, or half of a surrogate pair.
    """
    if not text.strip():
        raise ImportRefused("is empty; JSON is expected")
    try:
        value: JsonValue = json.loads(
            text.decode(json.detect_encoding(text)),
            object_pairs_hook=_object_of,
            parse_constant=_refuse_constant,
        )
        to_json(value)
    except json.JSONDecodeError as error:
        raise ImportRefused(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise ImportRefused(f"is not JSON: byte {error.start} is not {error.encoding.upper()} text") from None
    except RecursionError:
        raise ImportRefused("is nested too deep to be read") from None
    except PydanticSerializationError:
        raise ImportRefused("holds half of a surrogate pair (\\ud800 to \\udfff), which is no text") from None
    except ValueError:
        raise ImportRefused("holds an integer of more than 4,300 digits") from None
    return value


def quoted(value: JsonValue) -> str:
    """Return a value as JSON on one short line, safe to print."""
    text = json.dumps(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


_QUOTED = 80


def _object_of(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ImportRefused(f"holds the key {quoted(twice)} twice in one object; one of them would be lost")
    return entry


def _refuse_constant(constant: str) -> NoReturn:
    raise ImportRefused(f"is not JSON: numbers must be finite, not {constant}")
