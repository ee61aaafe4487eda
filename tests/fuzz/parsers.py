"""Every parser that a stranger can reach, as a function of bytes that may only refuse them."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import unquote

from starlette.types import Message, Receive

from sarvanom.security.oauth import FORM, OAuthError, parse_revocation, parse_token_request
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.json_bounds import check_json
from sarvanom.shared.resources import RESOURCES
from sarvanom.shared.validation import merge_patch
from sarvanom.web.bulk_lines import LineSplitter
from sarvanom.web.calls import Operation
from sarvanom.web.log_calls import LOG_PARSERS, LogOperation
from sarvanom.web.problems import problem_body
from sarvanom.web.resource_calls import PARSERS
from sarvanom.web.targets import check_target

type Target = Callable[[bytes], None]

BODIES: Final = (Operation.CREATE, Operation.REPLACE, Operation.PATCH)
QUERIES: Final = (Operation.LIST, Operation.READ, Operation.INVALIDATE, Operation.STATS, Operation.DELETE)
HEADERS: Final = (
    b"accept",
    b"content-type",
    b"content-encoding",
    b"idempotency-key",
    b"if-match",
    b"if-none-match",
    b"last-event-id",
    b"sarvanom-line-limit",
)


def body(data: bytes) -> None:
    """Take the bytes for a JSON body of each resource, and for a merge patch."""
    for resource in RESOURCES:
        for operation in BODIES:
            _parse(operation, resource, body=data)


def patch(data: bytes) -> None:
    """Take the bytes for a merge patch, and apply it."""
    for resource in RESOURCES:
        changes = _parse(Operation.PATCH, resource, body=data)
        if changes is not None:
            merge_patch({"preferences": {"theme": "dark"}, "value": [1], "parameters": {}}, changes)


def lines(data: bytes) -> None:
    """Take the bytes for lines, whatever the chunks that they come in."""
    cut = len(data) // 3
    splitter = LineSplitter(4096)
    found = [line for chunk in (data[:cut], data[cut:]) for line in splitter.feed(chunk)]
    for line in (*found, *splitter.finish()):
        if line.text is not None:
            body(line.text)


def query(data: bytes) -> None:
    """Take the bytes for the query string of everything that has one."""
    text = _visible(data)
    for resource in RESOURCES:
        for operation in QUERIES:
            _parse(operation, resource, query_string=text)
        _parse(Operation.LIST, resource, query_string=text, headers=[(b"accept", b"application/x-ndjson")])
    for accept in (b"", b"text/event-stream"):
        _parse_log(LogOperation.CHANGES, query_string=text, headers=[(b"accept", accept)])


def path(data: bytes) -> None:
    """Take the bytes for an id in a path, percent-encoded or not, and for a whole target."""
    id = unquote(_visible(data).decode("ascii"))
    for resource in RESOURCES:
        _parse(Operation.READ, resource, id=id)
    _parse_log(LogOperation.REVERT, id=id)
    with _refusing():
        check_target(_visible(data), [(b"host", b"127.0.0.1")])


def header(data: bytes) -> None:
    """Take the bytes for the value of each header that anything depends on."""
    value = bytes(byte for byte in data if byte == 9 or 32 <= byte != 127).strip(b" \t")
    for name in HEADERS:
        given = [(name, value)]
        for resource in RESOURCES[:1]:
            for operation in (*BODIES, *QUERIES):
                _parse(operation, resource, headers=given, body=b'{"key": "a", "value": 1}')
        _parse_log(LogOperation.CHANGES, headers=[(b"accept", b"text/event-stream"), *given])


def json(data: bytes) -> None:
    """Take the bytes for JSON."""
    with _refusing():
        check_json(data)


def token_form(data: bytes) -> None:
    """Take the bytes for a form, and for the header by which its client proves itself."""
    authorization = data[:64].decode("latin-1")
    for given in (None, authorization, "Basic " + b64encode(data[:64]).decode()):
        for parse in (parse_token_request, parse_revocation):
            with suppress(OAuthError):
                parse(data, content_type=FORM, authorization=given)


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target for target in (body, patch, lines, query, path, header, json, token_form)
}


def _parse(operation: Operation, resource: Any, *, body: bytes = b"", id: str = "a", **scope: Any) -> Any:
    """Return what the body says, or None if anything is refused."""
    media_type = b"application/merge-patch+json" if operation is Operation.PATCH else b"application/json"
    given = {"path_params": {resource.id_field: id}, "headers": [(b"content-type", media_type)], "query_string": b""}
    call = _run(PARSERS[operation](resource, given | scope, _receive(body)))
    with _refusing():
        return None if call is None else call.parse_item()
    return None


def _parse_log(operation: LogOperation, *, id: str = "1", **scope: Any) -> Any:
    given = {"path_params": {"revision": id}, "headers": [], "query_string": b""}
    return _run(LOG_PARSERS[operation](given | scope, _receive(b"")))


def _run(parsing: Awaitable[Any]) -> Any:
    """Return what a parser returns, or None if it refuses; with the body there, it has nothing to wait for."""
    with _refusing():
        try:
            next(parsing.__await__())
        except StopIteration as end:
            return end.value
        raise AssertionError("The parser waits")
    return None


@contextmanager
def _refusing() -> Iterator[None]:
    """Let what is refused be refused, but not as if it were our fault."""
    try:
        yield
    except SarvanOMError as error:
        if error.status >= 500 or not problem_body(error, "id"):
            raise AssertionError("The parser blames the server") from error


def _receive(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _visible(data: bytes) -> bytes:
    """Return what of the bytes can stand in the target of a request."""
    return bytes(byte for byte in data if 0x21 <= byte <= 0x7E and byte != 0x23)
