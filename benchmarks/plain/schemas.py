"""Request and response models, shared by both services."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class UserIn(BaseModel):
    """A user as a caller sends it."""

    user_id: str = Field(min_length=1, max_length=255)
    username: str = Field(min_length=1, max_length=255)
    email: str = Field(min_length=3, max_length=255)
    preferences: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    service: str = "default"


class UserOut(UserIn):
    """A user as it is answered."""

    model_config = ConfigDict(from_attributes=True)

    created_at: datetime
    updated_at: datetime


class UserList(BaseModel):
    """One page of users."""

    items: list[UserOut]


class UserResponse(BaseModel):
    """The envelope around one user."""

    status: str = "success"
    message: str = "ok"
    data: UserOut
    metadata: dict[str, Any] = Field(default_factory=dict)


class UserListResponse(BaseModel):
    """The envelope around one page."""

    status: str = "success"
    message: str = "ok"
    data: UserList
    metadata: dict[str, Any] = Field(default_factory=dict)
