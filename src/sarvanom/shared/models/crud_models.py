"""The five resources as Pydantic models, the envelope they travel in, and the parameters of a list."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)
from pydantic import (
    JsonValue as AnyJson,
)
from pydantic_core import PydanticSerializationError

from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.fields import (
    EXACT_INTEGER,
    INT32,
    INTEGRAL,
    Count,
    Email,
    JsonObject,
    JsonValue,
    LongText,
    Message,
    Name,
    QueryBool,
    ResourceId,
    ShortText,
    Tags,
    Text,
    Timestamp,
)

MAX_LIMIT = 1000
MAX_TTL = 10 * 365 * 24 * 3600

type FilterValue = str | int | bool | datetime | list[str] | list[int]


class ResourceModel(BaseModel):
    """What every resource carries; the last three fields are the server's and are None until it has stored it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        ser_json_inf_nan="constants",
    )

    stamped_fields: ClassVar[frozenset[str]] = frozenset({"created_at", "updated_at", "revision"})
    """What a store sets when it writes."""
    server_fields: ClassVar[frozenset[str]] = stamped_fields
    """What callers may not set: what is stamped, and what else the server makes of a resource."""

    _unsent: ClassVar[set[str]] = set(stamped_fields)

    service: Name = "default"
    """The service that owns the resource; left out, the only one that its maker is bound to, or else `default`."""
    created_at: Annotated[Timestamp | None, Field(json_schema_extra={"readOnly": True})] = None
    """When it was created (UTC, RFC 3339). Set by the server."""
    updated_at: Annotated[Timestamp | None, Field(json_schema_extra={"readOnly": True})] = None
    """When it was last written (UTC, RFC 3339). Set by the server."""
    revision: Annotated[Count | None, Field(json_schema_extra={"readOnly": True})] = None
    """The revision of its last change, which is also its ETag. Set by the server."""

    def to_json(self) -> bytes:
        """Return the resource as JSON text without what is stamped: what a store keeps.

        Raises:
            ValidationFailed: it holds what JSON in UTF-8 cannot carry, such as a lone surrogate.
        """
        return self._encode(self._unsent)

    def to_request(self) -> bytes:
        """Return what a write sends: the same without a service that was not named, which the server then chooses.

        Raises:
            ValidationFailed: as for `to_json`.
        """
        return self._encode(self._unsent if "service" in self.model_fields_set else {*self._unsent, "service"})

    def _encode(self, without: set[str]) -> bytes:
        try:
            return self.__pydantic_serializer__.to_json(self, exclude=without)
        except PydanticSerializationError:
            raise ValidationFailed("The resource holds what JSON cannot carry, such as a lone surrogate") from None


class CacheEntry(ResourceModel):
    """A cached answer; gone `ttl` seconds after it was last written."""

    key: ResourceId
    value: JsonValue
    """Any JSON."""
    ttl: Annotated[int, Field(ge=1, le=MAX_TTL), INT32, INTEGRAL] | None = 3600
    """Seconds to live; null keeps the entry until it is deleted."""
    tags: Tags = []
    """Labels by which entries are found and invalidated together."""


class UserProfile(ResourceModel):
    """A user of the application."""

    user_id: ResourceId
    username: Name
    """Unique, without regard to case."""
    email: Email
    """Unique, without regard to case."""
    preferences: JsonObject = {}
    """What the user chose."""
    settings: JsonObject = {}
    """What the application keeps about the user."""


class ModelConfiguration(ResourceModel):
    """How the application calls one model."""

    model_name: ResourceId
    provider: Name
    parameters: JsonObject = {}
    """Limits, prices, abilities, defaults: whatever the application needs to know of the model.

    What is named like a secret, such as `api_key`, is ciphertext at rest, and read as `********`.
    """
    enabled: bool = True
    priority: Annotated[int, Field(ge=1, le=10), INT32, INTEGRAL] = 5
    """Which model to prefer, 10 first."""


class Dataset(ResourceModel):
    """A dataset that the application knows of."""

    dataset_id: ResourceId
    name: Name
    description: Text = ""
    source: LongText = ""
    """Where the data is: a path or a URL."""
    format: ShortText = ""
    size: Annotated[Count, INTEGRAL] | None = None
    """Bytes; null if unknown."""
    metadata: JsonObject = {}
    """What else is known of it: licence, schema, hash, provenance."""


class SystemSetting(ResourceModel):
    """One setting of the application."""

    setting_key: ResourceId
    setting_value: JsonValue
    """Any JSON."""
    category: ShortText = ""
    description: Text = ""
    encrypted: bool = False
    """Whether the value is a secret: ciphertext at rest, and read as `********`."""


class CacheStats(BaseModel):
    """What the cache holds, and what happened to it since the store was made."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    entries: Count
    """Live entries."""
    bytes: Count
    """Bytes of the live entries' stored JSON."""
    hits: Count
    """Reads of one entry that found it."""
    misses: Count
    """Reads of one entry that did not."""
    expirations: Count
    """Entries whose time ran out and whose storage was reclaimed."""


class Deleted(BaseModel):
    """How many resources a deletion by filter removed."""

    deleted: Count


class Items[M](BaseModel):
    """The `data` of a list."""

    items: Annotated[list[M], Field(max_length=MAX_LIMIT)]


class PageMetadata(BaseModel):
    """The `metadata` of a list."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: Count
    next_cursor: Message | None
    """Pass it as `cursor` to read on; null on the last page."""
    total: Count | None = None
    """How many resources match; only there if `include_total=true` asked for it."""


class Page[M](BaseModel):
    """One page of a list, as services and clients hand it over."""

    items: list[M]
    limit: int
    next_cursor: str | None
    total: int | None = None


class CRUDResponse[D](BaseModel):
    """The envelope of every successful answer."""

    status: Literal["success"] = "success"
    message: Message
    data: D
    metadata: dict[str, AnyJson] = {}


class ListResponse[M](BaseModel):
    """The envelope of a list."""

    status: Literal["success"] = "success"
    message: Message
    data: Items[M]
    metadata: PageMetadata


class PaginationParams(BaseModel):
    """Which page of a list, in which order."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), INT32, EXACT_INTEGER] = 100
    """At most this many items; a page also ends early at 16 MiB."""
    cursor: Annotated[str, Field(max_length=4096)] | None = None
    """`next_cursor` of the page before."""
    skip: Annotated[Count, EXACT_INTEGER] = 0
    """Leave out this many items first; a cursor is faster and stays stable while rows come and go."""
    sort: Annotated[str, Field(max_length=255)] | None = None
    """Fields to sort by, comma separated, `-` for descending: `-updated_at,username`. Ties go by creation, then id."""
    include_total: QueryBool = False
    """Also count everything that matches."""


class FilterParams(BaseModel):
    """Conditions of a list: `field=value` or `field__operator=value`, all of which must hold.

    Which fields and operators there are is declared with the resource; a collection refuses any other with
    `ValidationFailed`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    def __init__(self, **conditions: FilterValue) -> None:
        super().__init__(**conditions)

    @property
    def conditions(self) -> dict[str, FilterValue]:
        """The conditions as they were given."""
        return dict(self.model_extra or {})

    def with_conditions(self, **conditions: FilterValue) -> Self:
        """Return the same filter with more conditions."""
        return type(self)(**{**self.conditions, **conditions})


class Problem(BaseModel):
    """An error as RFC 9457 problem details."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: Message = "about:blank"
    title: Message
    status: Annotated[int, Field(ge=400, le=599), INT32]
    code: Message
    """Stable and greppable: what programs decide by."""
    detail: Message
    request_id: Annotated[str, Field(max_length=128)]
    errors: Annotated[list["ProblemField"], Field(max_length=10_000)] = []
    """Which fields were refused and why."""


class ProblemField(BaseModel):
    """One reason why an input was refused."""

    field: Message
    message: Message
