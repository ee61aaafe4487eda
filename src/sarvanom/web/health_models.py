"""What a service says of itself: whether it lives, is ready, and in detail."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sarvanom.shared.models.fields import Count, Message, Timestamp


class Health(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class Version(BaseModel):
    """Which service this is."""

    service: Message
    version: Message


class DependencyCheck(BaseModel):
    """Whether one dependency answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Message
    ok: bool
    latency_ms: float
    error: Message | None = None
    """What went wrong; null if nothing did."""
    required: bool = True
    """Whether the service is not ready without it."""
    last_error: Message | None = None
    """What went wrong when a check failed last; null if none has since the process began."""
    last_error_at: Timestamp | None = None
    """When that was."""


Checks = Annotated[list[DependencyCheck], Field(max_length=1000)]


class Readiness(BaseModel):
    """Whether the service can do its work now."""

    status: Literal["ready", "unavailable"]
    checks: Checks


class DatabaseReport(BaseModel):
    """How the database is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    system: Literal["sqlite", "postgresql"]
    schema_version: Message
    """The migration that the database is at."""
    newest_schema_version: Message
    """The migration that this version of the service needs."""
    revision: Count
    """The newest revision."""
    revision_floor: Count
    """Changes up to this revision are compacted."""
    connections: Count | None = None
    """How many connections all workers of this service may open; null where nothing bounds them."""
    server_connections: Count | None = None
    """How many the server lets ordinary users have in all."""
    server_connections_open: Count | None = None
    """How many are open now, everybody's."""


class PoolReport(BaseModel):
    """What becomes of the connections of one pool of this process."""

    name: Message
    size: Count
    in_use: Count
    idle: Count
    waiting: Count


class ProcessReport(Version):
    """What a process says of itself, whatever it depends on."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ok", "degraded"]
    """Degraded if a dependency is not well, required or not."""
    python: Message
    uptime_seconds: float
    checks: Checks
    time: Timestamp
    """What its clock showed."""
    worker: Count = 0
    """Which of the workers this process is."""
    workers: Count = 1
    database: DatabaseReport | None = None
    """Null for a gateway, and while the database does not answer."""
    pools: Annotated[list[PoolReport], Field(max_length=100)] = []


class InstanceReport(DependencyCheck):
    """How one instance of crud is, as this gateway sees it, and what it says of itself."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    url: Message
    healthy: bool
    """The breaker: false if requests go elsewhere as long as there is another."""
    requests_in_progress: Count
    report: ProcessReport | None = None
    """Null if it did not give one."""


class HealthReport(ProcessReport):
    """What an operator asks first."""

    instances: Annotated[list[InstanceReport], Field(max_length=1000)] = []
    """The instances of crud; of a gateway alone."""
