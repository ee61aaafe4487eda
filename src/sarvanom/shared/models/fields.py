"""The types of the fields that resources are made of."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import pydantic
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, to_json

from sarvanom.shared.models.profiles import FREE, STRICT, Inspected, Profile

MAX_ID_LENGTH: Final = 255
MAX_JSON_DEPTH: Final = 100
MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259, section 6)."""

# RFC 3986 pchar without percent-encoding; `/` stands between segments that are neither empty nor `.` nor `..`.
_PCHAR_BUT_DOT = r"[A-Za-z0-9\-_~!$&'()*+,;=:@]"
_PCHAR = r"[A-Za-z0-9\-._~!$&'()*+,;=:@]"
_SEGMENT = rf"(?:\.{{0,2}}{_PCHAR_BUT_DOT}{_PCHAR}*|\.{{3}}{_PCHAR}*)"
ID_PATTERN: Final = rf"^{_SEGMENT}(?:/{_SEGMENT})*$"

# RFC 5321, section 4.1.2: Dot-string "@" Domain, without quoted local parts and address literals.
_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL_PATTERN: Final = rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*$"
_is_timestamp: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
).fullmatch
_MAX_LOCAL_PART: Final = 64
_N, _I = b"NI"
UNCHECKED_JSON: Final = object()
"""The context of a validation whose caller sees for itself that JSON values hold nothing that they may not."""

# No C0 control characters, no DEL: PostgreSQL stores no NUL, and nobody names things with the others.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


@dataclass(frozen=True, slots=True)
class Format:
    """The `format` that a field's JSON schema names."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "format": self.name}


@dataclass(frozen=True, slots=True)
class PlainForm:
    """The `pattern` of a field's plain form in its JSON schema; other forms are accepted too."""

    pattern: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


INT32: Final = Format("int32")
INT64: Final = Format("int64")

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER), INT64]
Message = Annotated[str, Field(max_length=4096)]
Timestamp = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40})]

ResourceId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ID_LENGTH, pattern=ID_PATTERN),
    Inspected(Profile.OFF, "the grammar of ids has no space, double quote, angle bracket or backslash"),
]
ShortText = Annotated[str, StringConstraints(max_length=255, pattern=_PRINTABLE), STRICT]
LongText = Annotated[str, StringConstraints(max_length=4096, pattern=_PRINTABLE), STRICT]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_PRINTABLE), STRICT]
Text = Annotated[str, StringConstraints(max_length=100_000), FREE]


def _check_local_part(email: str) -> str:
    if email.index("@") > _MAX_LOCAL_PART:
        raise PydanticCustomError("email", "The part before the @ must have at most {limit} characters", {"limit": 64})
    return email


def _integral(value: object) -> object:
    """Take 7.0 for 7, as JSON Schema does; strict mode alone would not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_json(value: pydantic.JsonValue, info: ValidationInfo) -> pydantic.JsonValue:
    """Refuse what JSON cannot carry (NaN, infinity, also as 1e999) and nesting that readers choke on."""
    if info.context is UNCHECKED_JSON or value is None or isinstance(value, bool | int | str):
        return value
    text = to_json(value, inf_nan_mode="constants")
    if may_be_infinite(text) and to_json(value, inf_nan_mode="null") != text:
        raise PydanticCustomError("json_number", "Numbers must be finite and within the range of a double")
    if may_be_deep(text):
        _check_depth(value)
    return value


def may_be_infinite(text: bytes) -> bool:
    """Tell whether a number in a JSON text may be NaN or infinite, as far as two words tell."""
    # A letter is found sooner than a word, and most texts have neither.
    return (_N in text and b"NaN" in text) or (_I in text and b"Infinity" in text)


def may_be_deep(text: bytes) -> bool:
    """Tell whether a JSON text may be nested deeper than `MAX_JSON_DEPTH`, as far as its brackets tell."""
    return len(text) > 2 * MAX_JSON_DEPTH and text.count(b"[") + text.count(b"{") > MAX_JSON_DEPTH


def _check_depth(value: pydantic.JsonValue) -> None:
    """Look at one level after the other: a text of 10 MiB can hold millions of values, but few levels."""
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if type(item) is list or type(item) is dict
        ]
        if not level:
            return
    raise PydanticCustomError("json_depth", "JSON must be nested at most {limit} deep", {"limit": MAX_JSON_DEPTH})


INTEGRAL: Final = BeforeValidator(_integral)

Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=EMAIL_PATTERN),
    AfterValidator(_check_local_part),
    Format("email"),
    Inspected(Profile.OFF, "the grammar of addresses has no space, double quote, angle bracket or backslash"),
]
JsonValue = Annotated[pydantic.JsonValue, AfterValidator(_check_json), FREE]
JsonObject = Annotated[
    dict[str, pydantic.JsonValue],
    AfterValidator(_check_json),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
    FREE,
]
Tags = Annotated[list[Name], Field(max_length=64)]


def _exact_bool(value: object) -> object:
    if isinstance(value, str) and value not in ("true", "false"):
        raise PydanticCustomError("query_boolean", "Must be true or false")
    return value


def _exact_int(value: object) -> object:
    digits = value.removeprefix("-") if isinstance(value, str) else "0"
    if not (digits.isascii() and digits.isdigit()):
        raise PydanticCustomError("query_integer", "Must be an integer")
    return value


def exact_time(value: object) -> object:
    """Refuse a text that is no time with its offset in one of RFC 3339's forms."""
    if isinstance(value, str) and not _is_timestamp(value):
        raise PydanticCustomError("query_time", "Must be a time with its offset (RFC 3339): 2026-01-31T12:00:00Z")
    return value


EXACT_INTEGER: Final = BeforeValidator(_exact_int)
"""Refuses spellings of an integer in a query string that JSON does not have, such as 1_000 or 2.0."""

QueryBool = Annotated[bool, BeforeValidator(_exact_bool)]
QueryInt = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER), INT64, EXACT_INTEGER]
QueryTime = Annotated[
    AwareDatetime,
    BeforeValidator(exact_time),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
QueryText = Annotated[str, Field(max_length=4096)]
QueryItem = Annotated[str, Field(max_length=1024), PlainForm(r'^[^",\r\n]*$')]
