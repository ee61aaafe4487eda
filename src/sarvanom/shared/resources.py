"""What a resource is, and those that SarvanOM keeps.

A resource is declared once. Tables, routes, query parameters, clients and the command line derive from the declaration;
what one resource alone needs is a named hook on it.
"""

import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.crud_models import (
    CacheEntry,
    Dataset,
    ModelConfiguration,
    ResourceModel,
    SystemSetting,
    UserProfile,
)
from sarvanom.shared.models.fields import MAX_ID_LENGTH, ResourceId
from sarvanom.shared.models.key_models import ApiKey, IssuedApiKey
from sarvanom.shared.models.profiles import Profile, field_profiles
from sarvanom.shared.models.secret_fields import Secret
from sarvanom.shared.models.session_models import Session

type ColumnValue = str | int | bool | None


class ColumnKind(StrEnum):
    """How a field is kept beside the stored JSON, so that it can be searched and sorted by."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class Column:
    """One searchable field of a resource."""

    name: str
    kind: ColumnKind
    nullable: bool = False
    unique: bool = False
    filterable: bool = False
    sortable: bool = False

    def stored(self, value: Any) -> Any:
        """Return the value as it is kept and compared: unique text without its case, times as fixed-width UTC."""
        if self.unique and isinstance(value, str):
            return value.casefold()
        if isinstance(value, datetime):
            return format_timestamp(value)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Resource[M: ResourceModel]:
    """The declaration of one resource; field names are checked when it is built.

    `profiles` says how closely each field that holds text is inspected; there is none without one.
    `lifetime` is a hook: seconds after which an item, written now, is gone (None: never). What is not logged has no
    history, and revisions of a sequence of its own. `secret` says what is sealed wherever it is kept. `admin_scope` is
    taken for reading and writing alike, in place of a scope for each. What has an `issued_model` is issued by the
    server: the answer to its creation is of that model, and holds a secret that is told once. `hashed` names a field
    of which a hash is kept, sealed, and never shown. What is private has no routes and is in no export.
    """

    name: str
    collection: str
    model: type[M]
    id_field: str
    unique: tuple[str, ...] = ()
    filterable: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ()
    lifetime: Callable[[M], int | None] | None = None
    is_logged: bool = True
    secret: Secret | None = None
    admin_scope: str | None = None
    issued_model: type[M] | None = None
    hashed: str | None = None
    is_private: bool = False
    profiles: Mapping[str, Profile] = field(init=False)
    columns: tuple[Column, ...] = field(init=False)
    write_model: type[M] = field(init=False)
    replace_model: type[M] = field(init=False)
    patch_model: type[ResourceModel] = field(init=False)
    sparse_model: type[BaseModel] = field(init=False)

    def __post_init__(self) -> None:
        secret = () if self.secret is None else (self.secret.field, self.secret.flag or self.secret.field)
        named = {self.id_field, *self.unique, *self.filterable, *self.sortable, *secret}
        unknown = named - set(self.model.model_fields)
        if unknown:
            raise ValueError(
                f"resource {self.collection!r} declares fields that {self.model.__name__} lacks: {unknown}"
            )
        object.__setattr__(self, "profiles", field_profiles(self.model))
        names = dict.fromkeys(
            (
                self.id_field,
                *self.unique,
                *self.filterable,
                *self.sortable,
                "service",
                *_SERVER_COLUMNS,
            )
        )
        object.__setattr__(self, "columns", tuple(self._column(name) for name in names))
        object.__setattr__(self, "write_model", _write_model(self.model))
        object.__setattr__(self, "replace_model", _replace_model(self.write_model, self.id_field))
        object.__setattr__(self, "patch_model", _patch_model(self.model))
        object.__setattr__(self, "sparse_model", _sparse_model(self.model, self.id_field))

    def _column(self, name: str) -> Column:
        kind, nullable = _column_kind(self.model.model_fields[name].annotation)
        common = name in {self.id_field, "service", *_SERVER_COLUMNS}
        return Column(
            name,
            kind,
            nullable=nullable and name not in _SERVER_COLUMNS,
            unique=name in self.unique,
            filterable=common or name in self.filterable or name in self.unique,
            sortable=name in {*self.sortable, self.id_field, "created_at", "updated_at"}
            or (name in self.unique and not nullable),
        )

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, if the resource has it."""
        return next((column for column in self.columns if column.name == name), None)

    def total_order(self, fields: Iterable[str]) -> tuple[str, ...]:
        """Return the fields that a list is sorted by, completed to a total order: ties go by creation, then by id.

        An index on one field holds the same, so that new items, often many at once, stand side by side in it, whatever
        their ids: a page of the index that many writes change is written once for all of them.
        """
        given = tuple(fields)
        is_total = not {self.id_field, *self.unique}.isdisjoint(given)
        return tuple(dict.fromkeys((*given, *(() if is_total else ("created_at",)), self.id_field)))

    @property
    def sequence(self) -> str:
        """The name of the sequence that gives the resource's revisions."""
        return "revision" if self.is_logged else self.collection

    @property
    def is_issued(self) -> bool:
        """Whether the server makes what identifies an item, and a secret with it."""
        return self.issued_model is not None

    @property
    def grants(self) -> bool:
        """Whether items say what somebody may do.

        Nobody grants more than it has; such items are not replaced or imported, and undoing never brings one back.
        """
        return self.admin_scope is not None

    @property
    def is_revealable(self) -> bool:
        """Whether secrets of items can be seen in plain."""
        return self.secret is not None and self.hashed is None

    @property
    def counts_reads(self) -> bool:
        """Whether hits, misses and expirations are counted."""
        return self.lifetime is not None and not self.is_private

    @property
    def one(self) -> str:
        """What an item is called: its name with an article."""
        return f"{'an' if self.name[0] in 'aeio' else 'a'} {self.name}"

    @property
    def id_column(self) -> Column:
        """The column of the id, which is the first."""
        return self.columns[0]

    def id_of(self, item: M) -> str:
        """Return the item's id."""
        value: str = getattr(item, self.id_field)
        return value

    def path(self, id: str) -> str:
        """Return the URL path of the resource with this id; ids may stand in a path as they are."""
        return f"/{self.collection}/{id}"


_SERVER_COLUMNS: Final = ("created_at", "updated_at", "revision")
_KINDS: Final = {
    str: ColumnKind.TEXT,
    bool: ColumnKind.BOOLEAN,
    int: ColumnKind.INTEGER,
    datetime: ColumnKind.TIMESTAMP,
    list: ColumnKind.TAGS,
}
_ids: Final = TypeAdapter[str](ResourceId)


def is_valid_id(id: str) -> bool:
    """Tell whether `id` obeys the grammar of ids."""
    try:
        _ids.validate_python(id)
    except ValueError:
        return False
    return True


def check_id(resource: Resource[Any], id: str) -> str:
    """Return the id; raises `ValidationFailed` if it breaks the grammar."""
    if not is_valid_id(id):
        message = (
            f"Must be 1 to {MAX_ID_LENGTH} characters that may stand unescaped in a URL path (RFC 3986 pchar), "
            "and / between segments that are neither empty nor . nor .."
        )
        raise ValidationFailed(
            f"This is no {resource.id_field}",
            errors=[FieldError(resource.id_field, message)],
        )
    return id


_EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def format_timestamp(moment: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, always 27 characters long, so that text order is time order.

    An instant beyond the years that Python can say in UTC becomes the nearest one.
    """
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        utc = _LATEST if moment.year > 1 else _EARLIEST
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _column_kind(annotation: Any) -> tuple[ColumnKind, bool]:
    """Return the kind of column for a field's annotation, and whether it may be null."""
    if get_origin(annotation) is Annotated:
        return _column_kind(get_args(annotation)[0])
    if get_origin(annotation) in (typing.Union, types.UnionType):
        arms = [arm for arm in get_args(annotation) if arm is not type(None)]
        return _column_kind(arms[0])[0], len(arms) < len(get_args(annotation))
    return _KINDS[get_origin(annotation) or annotation], False


_IGNORED: Final[tuple[Any, Any]] = (
    Any,
    Field(default=None, json_schema_extra={"readOnly": True}, description="Set by the server, and ignored here."),
)


def _write_model[M: ResourceModel](model: type[M]) -> type[M]:
    """Derive what a caller sends: the same fields, and anything at all where the server's fields stand, ignored."""
    fields: Any = dict.fromkeys(sorted(model.server_fields), _IGNORED)
    return create_model(f"{model.__name__}Write", __base__=model, __doc__=model.__doc__, **fields)


def _replace_model[M: ResourceModel](write_model: type[M], id_field: str) -> type[M]:
    """Derive what a replacement sends: the id stands in the path and may be left out of the body."""
    fields: Any = {id_field: _optional(write_model.model_fields[id_field])}
    name = write_model.__name__.replace("Write", "Replace")
    return create_model(name, __base__=write_model, __doc__=write_model.__doc__, **fields)


def _patch_model(model: type[ResourceModel]) -> type[ResourceModel]:
    """Derive the schema of a JSON Merge Patch: every field may be absent, and null where that restores a default."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if name in model.server_fields:
            fields[name] = _IGNORED
        else:
            fields[name] = _optional(info, nullable=not info.is_required(), refuses_null=info.is_required())
    doc = f"A JSON Merge Patch of {model.__name__}: null restores a field's default, an absent field stays."
    return create_model(f"{model.__name__}Patch", __base__=ResourceModel, __doc__=doc, **fields)


def _sparse_model(model: type[ResourceModel], id_field: str) -> type[BaseModel]:
    """Derive what a list with `fields` holds: the id, and some of the other fields."""
    fields: dict[str, Any] = {name: _optional(info) for name, info in model.model_fields.items() if name != id_field}
    id = model.model_fields[id_field]
    fields[id_field] = (Annotated[id.annotation, *id.metadata], Field())
    doc = f"Some of the fields of {model.__name__}, which `fields` asked for."
    return create_model(f"{model.__name__}Sparse", __doc__=doc, **fields)


def _optional(info: FieldInfo, *, nullable: bool = False, refuses_null: bool = False) -> tuple[Any, Any]:
    """Return the field as one that may be absent, which its schema says by having no default."""
    annotation: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation

    def describe(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        if refuses_null:
            schema["not"] = {"type": "null"}

    if refuses_null:
        annotation = Annotated[annotation, AfterValidator(_refuse_null)]
    default = Field(default=None, description=info.description, json_schema_extra=describe)
    return (annotation | None if nullable else annotation, default)


def _refuse_null(value: object) -> object:
    if value is None:
        raise PydanticCustomError("required", "Must not be null: the field is required")
    return value


CACHE: Final = Resource(
    name="cache entry",
    collection="cache",
    model=CacheEntry,
    id_field="key",
    filterable=("tags",),
    lifetime=operator.attrgetter("ttl"),
    is_logged=False,
)
USERS: Final = Resource(
    name="user",
    collection="users",
    model=UserProfile,
    id_field="user_id",
    unique=("username", "email"),
)
MODELS: Final = Resource(
    name="model",
    collection="models",
    model=ModelConfiguration,
    id_field="model_name",
    filterable=("provider", "enabled", "priority"),
    sortable=("provider", "priority"),
    secret=Secret("parameters"),
)
DATASETS: Final = Resource(
    name="dataset",
    collection="datasets",
    model=Dataset,
    id_field="dataset_id",
    filterable=("name", "format", "source", "size"),
    sortable=("name", "size"),
)
SETTINGS: Final = Resource(
    name="setting",
    collection="settings",
    model=SystemSetting,
    id_field="setting_key",
    filterable=("category",),
    sortable=("category",),
    secret=Secret("setting_value", flag="encrypted"),
)
KEYS: Final = Resource(
    name="key",
    collection="keys",
    model=ApiKey,
    id_field="key_id",
    unique=("digest", "previous_digest"),
    filterable=("name",),
    sortable=("name",),
    admin_scope="keys:admin",
    issued_model=IssuedApiKey,
)

ACCOUNTS: Final = Resource(
    name="account",
    collection="accounts",
    model=Account,
    id_field="account_id",
    filterable=("disabled",),
    secret=Secret("password"),
    admin_scope="keys:admin",
    hashed="password",
)
SESSIONS: Final = Resource(
    name="session",
    collection="sessions",
    model=Session,
    id_field="session_id",
    lifetime=operator.attrgetter("ttl"),
    is_logged=False,
    is_private=True,
)

RESOURCES: Final[tuple[Resource[Any], ...]] = (CACHE, USERS, MODELS, DATASETS, SETTINGS, KEYS, ACCOUNTS)
"""Those that callers know of."""
STORED: Final[tuple[Resource[Any], ...]] = (*RESOURCES, SESSIONS)
"""All that is kept."""
