"""What a request asks of a collection, and the answer to it: values that both services pass on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from starlette.types import Scope, Send

from sarvanom.shared.preconditions import NO_PRECONDITIONS, Preconditions
from sarvanom.shared.queries import Condition, ListQuery
from sarvanom.shared.resources import Resource

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


@dataclass(slots=True)
class Call:
    """A request that has been validated; which fields are filled depends on its operation.

    `target` is the path and query under which any instance of crud serves the same call, `headers` and `body` what goes
    with it.
    """

    operation: Operation
    resource: Resource[Any]
    method: str
    target: bytes
    request_id: str
    id: str = ""
    preconditions: Preconditions = NO_PRECONDITIONS
    headers: Headers | None = None
    body: bytes = b""
    item: Any = None
    query: ListQuery | None = None
    conditions: tuple[Condition, ...] = ()


class Answer(NamedTuple):
    """What a call is answered with; the length is added on the way out."""

    status: int
    headers: Headers
    body: bytes = b""


type Perform = Callable[[Call], Awaitable[Answer]]
"""Carries out a call: over a store in crud, over the hop in the gateway."""


async def send_answer(scope: Scope, send: Send, answer: Answer) -> None:
    """Send an answer; to HEAD without its body."""
    status, headers, body = answer
    if status not in (204, 304):
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
