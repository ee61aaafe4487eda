"""Sessions: what a caller traded a credential for, as crud keeps it; and what a gateway asks crud about them."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import ResourceId
from sarvanom.shared.models.profiles import Inspected, Profile

Opaque = Annotated[str, Inspected(Profile.OFF, "the server writes it, and takes none")]


class Session(ResourceModel):
    """What access and refresh tokens stand on: without it none of them is good.

    It holds what `RefreshFamily` says, and what it stands on itself: a key, by its digest, or an account as it was at
    a revision. Times are in Unix seconds; it is gone `ttl` seconds after it was last written.
    """

    session_id: ResourceId
    subject: Opaque
    client_id: Opaque
    scopes: list[Opaque]
    granted_services: list[Opaque] | None
    digest: Opaque
    previous_digest: Opaque | None
    generation: int
    begun_at: float
    rotated_at: float
    idle_expires_at: float
    expires_at: float
    key_digest: Opaque | None
    account_revision: int | None
    ttl: int


class _Question(BaseModel):
    """What a gateway sends."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    client_id: str
    client_digest: str | None = None
    """The SHA-256 of the client's secret, if it has sent one."""


class SessionRequest(_Question):
    """A request for a session, of the grant's kind; `lifetime` is that of an access token, in seconds."""

    grant: Literal["password", "client_credentials", "refresh_token"]
    lifetime: int
    scopes: list[str] | None = None
    username: str = Field(default="", repr=False)
    password: str = Field(default="", repr=False)
    refresh_token: str = Field(default="", repr=False)


class SessionEnd(_Question):
    """A request to end a session, which a refresh token or an access token of it names."""

    session_id: str | None = None
    refresh_token: str | None = Field(default=None, repr=False)


class Standing(BaseModel):
    """Whom a session speaks for now; None binds to no services, and `ends_at` is when its key ends."""

    model_config = ConfigDict(frozen=True)

    subject: str
    scopes: list[str]
    services: list[str] | None
    ends_at: AwareDatetime | None = None


class SessionAnswer(BaseModel):
    """The session that was begun or gone on with, or the OAuth error that kept it from being so."""

    model_config = ConfigDict(frozen=True)

    session_id: str = ""
    standing: Standing | None = None
    refresh_token: str | None = Field(default=None, repr=False)
    error: str | None = None
    error_description: str = ""
