"""Sealed values as they stand in JSON: `{"$sealed":"v1.…"}`, found in stored bytes without parsing them.

In a JSON string a quote is escaped, so that these bytes stand in no string; and no caller may send a member of this
name.
"""

import re
from typing import Any, Final, TypeGuard

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.secret_fields import MASK

MEMBER: Final = "$sealed"
MARKER: Final = b'{"%s":"' % MEMBER.encode()
"""How every sealed value begins, and nothing else in a stored text does."""
_RESERVED: Final = b'"%s":' % MEMBER.encode()
_DOLLAR: Final = ord("$")
"""One byte is found sooner than several, and most texts do not have it."""
_value: Final = re.compile(rb'\{"\$sealed":"v[0-9]+\.([0-9a-f]{16})\.[A-Za-z0-9_-]+"\}')
_MASKED: Final = b'"%s"' % MASK.encode()


def mask(text: bytes) -> bytes:
    """Return a stored text as it is read: each sealed value as the mask, and everything else as it is."""
    return _value.sub(_MASKED, text) if has_sealed(text) else text


def has_sealed(text: bytes) -> bool:
    """Tell whether a sealed value stands in a stored text."""
    return _DOLLAR in text and MARKER in text


def key_ids(text: bytes) -> list[str]:
    """Return the id of the master key of each sealed value in a stored text."""
    return [id.decode() for id in _value.findall(text)] if has_sealed(text) else []


def names_key(id: str) -> bytes:
    """Return what stands in a stored text if a value in it is sealed by a master key."""
    return MARKER + f"v1.{id}.".encode()


def is_sealed(value: Any) -> TypeGuard[dict[str, str]]:
    """Tell whether a JSON value is a sealed one."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(MEMBER), str)


def refuse_planted(text: bytes) -> None:
    """Refuse JSON by a caller that has a member with the name of sealed values, at any depth.

    Raises:
        ValidationFailed: it has.
    """
    if _DOLLAR in text and _RESERVED in text:
        message = f"Must have no member {MEMBER}: the name is the server's"
        raise ValidationFailed("The body uses a name that is reserved", errors=[FieldError("", message)])
