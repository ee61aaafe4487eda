"""Accounts: who logs in with a name and a password, and what they may do then."""

from typing import Annotated

import pydantic
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sarvanom.shared.models.fields import ResourceId
from sarvanom.shared.models.key_models import Granted
from sarvanom.shared.models.profiles import Inspected, Profile

MAX_PASSWORD_LENGTH = 1_024


def _text_or_sealed(value: pydantic.JsonValue) -> pydantic.JsonValue:
    """Take a text, or what crud has sealed, which callers cannot send: crud hashes texts and refuses the rest."""
    if isinstance(value, str) and 1 <= len(value) <= MAX_PASSWORD_LENGTH:
        return value
    if isinstance(value, dict) and len(value) == 1:
        return value
    raise PydanticCustomError("password", "Must be text of 1 to {limit} characters", {"limit": MAX_PASSWORD_LENGTH})


Password = Annotated[
    pydantic.JsonValue,
    AfterValidator(_text_or_sealed),
    WithJsonSchema({"type": "string", "format": "password", "minLength": 1, "maxLength": MAX_PASSWORD_LENGTH}),
    Inspected(Profile.OFF, "a hash of it is kept, and nobody is shown it"),
]


class Account(Granted):
    """Who logs in with a password. Every change of an account ends what was logged in with it before."""

    account_id: ResourceId
    """The name to log in with."""
    password: Password
    """At least 15 characters. Only a hash of it is kept, and it is read as `********`."""
    disabled: bool = False
    """Whether nobody can log in with it."""
