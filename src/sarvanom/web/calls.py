"""What a request asks of a collection, and the answer to it: values that both services pass on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.shared.models.bulk_models import OnConflict
from sarvanom.shared.preconditions import NO_PRECONDITIONS, Preconditions
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import Resource
from sarvanom.web.pace import Pace

type Headers = list[tuple[bytes, bytes]]


class Operation(StrEnum):
    """What can be asked of a collection."""

    CREATE = "create"
    READ = "read"
    REPLACE = "replace"
    PATCH = "patch"
    DELETE = "delete"
    LIST = "list"
    INVALIDATE = "invalidate"
    STATS = "stats"
    IMPORT = "import"
    EXPORT = "export"
    ROTATE = "rotate"


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that has been validated, but for its body.

    `target` is the path and query under which any instance of crud serves the same call, `headers` and `body` what goes
    with it; `chunks` is a body that is read as it comes in. `idempotency_key` is the caller's, if it is a write.
    `patience` is how many seconds crud may be silent once it has the body, where that is longer than usual.
    `principal` is who asks, and `body_digest` the SHA-256 of the body, where somebody has computed it already.
    """

    method: str
    target: bytes
    request_id: str
    headers: Headers | None = None
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    is_streamed: bool = False
    is_endless: bool = False
    idempotency_key: str | None = None
    patience: float | None = None
    principal: Principal = ANONYMOUS
    body_digest: bytes | None = None


def _nothing() -> None:
    """Return the item of a call that has no body."""


@dataclass(slots=True, kw_only=True)
class ResourceCall(Call):
    """A call to a collection; which fields are filled depends on its operation.

    `parse_item` returns what the body says, or raises what is wrong with it; whoever carries the call out calls it, and
    the gateway never does. `revealed_to` is who asks for secrets in plain, and may; None where nobody does.
    """

    operation: Operation
    resource: Resource[Any]
    id: str = ""
    preconditions: Preconditions = NO_PRECONDITIONS
    parse_item: Callable[[], Any] = _nothing
    query: ListQuery | None = None
    conditions: tuple[Condition, ...] = ()
    at_revision: int | None = None
    revealed_to: Principal | None = None
    on_conflict: OnConflict = OnConflict.ERROR
    line_limit: int = 0


class Answer(NamedTuple):
    """What a call is answered with; the length is added on the way out."""

    status: int
    headers: Headers
    body: bytes = b""


class Chunks(Protocol):
    """The parts of a body that is made while it is sent."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Let go of what the body is made from; also if it was never begun."""


class StreamedAnswer(NamedTuple):
    """An answer whose body is made while it is sent; `chunks` is closed at its end, however that comes about.

    One that `is_endless` is ended when the service stops; any other has until then to come to its own end. A reader who
    does not keep the `pace` is cut off.
    """

    status: int
    headers: Headers
    chunks: Chunks
    is_endless: bool = False
    pace: Pace | None = None


type AnyAnswer = Answer | StreamedAnswer

type Perform[C: Call] = Callable[[C], Awaitable[AnyAnswer]]
"""Carries out a call: over a store in crud, over the hop in the gateway."""
