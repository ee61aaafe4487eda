"""API keys as a resource: what is kept of each, what may be granted, and what its owner gets once."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import INT32, INTEGRAL, Message, Name, ResourceId, exact_time
from sarvanom.shared.models.profiles import Inspected, Profile

MAX_OVERLAP_SECONDS = 30 * 86_400
_READ_ONLY = Field(json_schema_extra={"readOnly": True})
_OURS = Inspected(Profile.OFF, "the server makes it, and takes none")


class Role(StrEnum):
    """A bundle of scopes, for those who would rather not choose each."""

    ADMIN = "admin"
    EDITOR = "editor"
    SERVICE = "service"
    VIEWER = "viewer"


type ScopeName = Literal[
    "cache:read",
    "cache:write",
    "datasets:read",
    "datasets:write",
    "keys:admin",
    "models:read",
    "models:write",
    "secrets:read",
    "settings:read",
    "settings:write",
    "metrics:read",
    "store:admin",
    "users:read",
    "users:write",
]
"""What may be done; a guard test holds it equal to `security.scopes.SCOPES`."""


Roles = Annotated[list[Role], Field(max_length=8)]
Scopes = Annotated[list[ScopeName], Field(max_length=64)]


def _textual(value: object) -> object:
    if isinstance(value, int | float):
        raise PydanticCustomError("time", "Must be a time with its offset (RFC 3339): 2026-01-31T12:00:00Z")
    return value


# Strictness would refuse the text that a validator hands on, which has been checked to be RFC 3339's.
Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(exact_time),
    BeforeValidator(_textual),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]


class Granted(ResourceModel):
    """What lets somebody in: what may be done by whoever proves to be the one it stands for."""

    roles: Roles = Field(default=[])
    """Bundles of scopes."""
    scopes: Scopes = Field(default=[])
    """Scopes beside those of the roles."""
    services: Annotated[list[Name], Field(min_length=1, max_length=32)] | None = None
    """The services that it is bound to: it sees and changes only what they own. Null binds it to none."""


class ApiKey(Granted):
    """An API key: what it may do, and how long; of its text only a digest is kept."""

    server_fields: ClassVar[frozenset[str]] = ResourceModel.server_fields | {
        "key_id",
        "hint",
        "digest",
        "previous_digest",
        "previous_expires_at",
    }

    key_id: Annotated[ResourceId, _READ_ONLY]
    """By which it is listed, changed, rotated and revoked. Set by the server."""
    name: Name
    """What it is for."""
    expires_at: Moment | None = None
    """When it ends (RFC 3339); null for never."""
    hint: Annotated[str, Field(max_length=32), _READ_ONLY, _OURS]
    """The first characters of the key. Set by the server."""
    digest: Annotated[str, Field(max_length=64), _READ_ONLY, _OURS]
    """The SHA-256 of the key in hexadecimal digits. Set by the server."""
    previous_digest: Annotated[str | None, Field(max_length=64), _READ_ONLY, _OURS] = None
    """The digest of the key before the last rotation, while it is still valid. Set by the server."""
    previous_expires_at: Annotated[Moment | None, _READ_ONLY] = None
    """When the key before the last rotation ends. Set by the server."""


class IssuedApiKey(ApiKey):
    """An API key as it is answered once, when it was made or rotated."""

    key: Message
    """The key itself; it is not kept, and cannot be read again."""


class Rotation(BaseModel):
    """How a key is rotated."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    overlap_seconds: Annotated[int, Field(ge=0, le=MAX_OVERLAP_SECONDS), INT32, INTEGRAL] = 86_400
    """How long the key of before stays valid."""
