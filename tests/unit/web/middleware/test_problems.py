"""The last resort: deliberate errors, unforeseen ones, and answers that had already begun."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from sarvanom.shared.errors import MethodNotAllowed, SarvanOMError, ServiceUnavailable
from sarvanom.shared.observations import ErrorUnforeseen, listen
from sarvanom.shared.trace_context import RequestNotes
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.request_id import NOTES
from sarvanom.web.sending import CONNECTION
from tests.unit.web.asgi import Answer, Raising, Replying, Untouched, ask, http_scope, is_untouched

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"end"}


@pytest.fixture
def told() -> Iterator[list[ErrorUnforeseen]]:
    found: list[ErrorUnforeseen] = []
    end = listen(ErrorUnforeseen, found.append)
    yield found
    end()


def scope() -> Scope:
    return http_scope() | {NOTES: RequestNotes("abc")}


async def test_a_good_answer_passes() -> None:
    assert (await ask(ProblemMiddleware(Replying(body=b"good")))).body == b"good"


async def test_a_deliberate_error_is_answered_and_not_logged() -> None:
    error = ServiceUnavailable("The store is away", headers={"Retry-After": "1"})
    with capture_logs() as lines:
        answer = await ask(ProblemMiddleware(Raising(error)), scope())
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json["code"] == "service_unavailable"
    assert answer.json["request_id"] == "abc"
    assert lines == []


async def test_an_unforeseen_error_is_told_once_and_says_nothing(told: list[ErrorUnforeseen]) -> None:
    error = ValueError("password=hunter2")
    with capture_logs() as lines:
        answer = await ask(ProblemMiddleware(Raising(error)), scope())
    assert answer.status == 500
    assert answer.json == {
        "type": "about:blank",
        "title": "Internal error",
        "status": 500,
        "code": "internal_error",
        "detail": "Request abc failed; the log says why",
        "request_id": "abc",
    }
    assert told == [ErrorUnforeseen(error, "a request")]
    assert lines == []


@pytest.mark.parametrize("error", [ValueError("x"), MethodNotAllowed("x")])
@pytest.mark.parametrize("sent", [[START], [START, PART]])
async def test_half_an_answer_is_left_to_a_server_whose_connection_is_unknown(
    error: Exception, sent: list[Message]
) -> None:
    answer = Answer(scope())
    with capture_logs() as lines, pytest.raises(type(error)):
        await ask(ProblemMiddleware(Raising(error, *sent)), answer=answer)
    assert answer.messages == sent
    assert lines == []


class Connection:
    aborted = 0

    def abort(self) -> None:
        self.aborted += 1


@pytest.mark.parametrize(
    ("error", "told_of", "events"),
    [(ValueError("x"), 1, []), (ServiceUnavailable("The store is away"), 0, ["answer broke off"])],
)
async def test_half_an_answer_ends_with_its_connection(
    told: list[ErrorUnforeseen], error: Exception, told_of: int, events: list[str]
) -> None:
    connection = Connection()
    with capture_logs() as lines:
        answer = await ask(ProblemMiddleware(Raising(error, START, PART)), {**scope(), CONNECTION: connection})
    assert answer.messages == [START, PART]
    assert connection.aborted == 1
    assert len(told) == told_of
    assert [line["event"] for line in lines] == events


async def test_after_a_whole_answer_the_error_is_only_told(told: list[ErrorUnforeseen]) -> None:
    connection = Connection()
    answer = await ask(
        ProblemMiddleware(Raising(ValueError("x"), START, PART, END)), {**scope(), CONNECTION: connection}
    )
    assert answer.body == b"partend"
    assert connection.aborted == 0
    assert len(told) == 1


async def test_after_a_whole_answer_a_deliberate_error_is_dropped() -> None:
    answer = await ask(ProblemMiddleware(Raising(SarvanOMError("x"), START, END)))
    assert answer.messages == [START, END]


async def test_a_caller_who_went_away_is_no_error() -> None:
    with capture_logs() as lines:
        answer = await ask(ProblemMiddleware(Raising(ClientDisconnect())))
    assert answer.messages == []
    assert lines == []


async def test_the_answer_to_head_has_no_body_but_its_length() -> None:
    get = await ask(ProblemMiddleware(Raising(SarvanOMError("x"))))
    head = await ask(ProblemMiddleware(Raising(SarvanOMError("x"))), http_scope("HEAD"))
    assert head.body == b""
    assert head.headers == get.headers
    assert get.headers["content-length"] == str(len(get.body))


async def test_a_cancelled_request_stays_cancelled() -> None:
    with pytest.raises(GeneratorExit):
        await ask(ProblemMiddleware(Raising(GeneratorExit())))


async def test_who_is_cut_off_by_the_end_of_the_service_is_told_so() -> None:
    stopped, begun = Answer(scope()), Answer(scope())
    with pytest.raises(asyncio.CancelledError):
        await ask(ProblemMiddleware(Raising(asyncio.CancelledError())), scope(), answer=stopped)
    assert stopped.status == 502
    with pytest.raises(asyncio.CancelledError):
        await ask(ProblemMiddleware(Raising(asyncio.CancelledError(), START, PART)), scope(), answer=begun)
    assert begun.messages == [START, PART]


async def test_an_error_of_a_later_message_still_reaches_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        raise OSError

    with pytest.raises(OSError):
        await ask(ProblemMiddleware(app))


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(ProblemMiddleware(app), app)
