"""Entries of the revision log, as services and clients hand them over."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sarvanom.shared.models.crud_models import MAX_LIMIT
from sarvanom.shared.models.fields import Count, Message, Timestamp


class Change(BaseModel):
    """One change of one resource."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    revision: Count
    """The revision that the change took."""
    resource: Message
    """The collection: users, models, datasets or settings."""
    id: Message
    operation: Literal["create", "update", "delete"]
    service: Message
    """The service that owns the resource after the change; before it, if it was deleted."""
    actor: Message | None
    """Who made the change; null if nobody had to prove who they are."""
    request_id: Message
    """The id of the request that made it."""
    time: Timestamp
    previous_revision: Count | None
    """The revision of the resource's state before; null if there was none."""
    reverts: Count | None
    """The revision that this change undid, if it undid one."""
    after: Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": True})] | None
    """The resource as it was after the change; null after a deletion."""


class ChangeItems(BaseModel):
    """The `data` of a page of changes."""

    items: Annotated[list[Change], Field(max_length=MAX_LIMIT)]


class ChangeMetadata(BaseModel):
    """The `metadata` of a page of changes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: Count
    next_since: Count
    """Pass it as `since` to read on; nothing that matches lies between the last item and it."""
    revision: Count
    """The newest revision; the page is the last one if `next_since` is the same."""
    oldest_revision: Count
    """The oldest revision whose state is held, and after which all changes are."""


class ChangeListResponse(BaseModel):
    """The envelope of a page of changes."""

    status: Literal["success"] = "success"
    message: Message
    data: ChangeItems
    metadata: ChangeMetadata


class ChangeList(BaseModel):
    """A page of changes, as services and clients hand it over."""

    items: list[Change]
    next_since: int
    revision: int
    oldest_revision: int
