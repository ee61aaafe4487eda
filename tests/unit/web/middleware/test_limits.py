"""Limits at the edge: who is refused, what everybody is told, and how a body is paced."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.security.limits import LimitPolicy
from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.shared.errors import RateLimited, ResourceNotFound
from sarvanom.shared.observations import LimitDecided, listen
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.middleware.limits import LimitMiddleware, StrangerLimit
from sarvanom.web.sent_answer import SENT
from tests.contracts.limits.clock import Clock
from tests.unit.web.asgi import Answer, Raising, Replying, Untouched, ask, http_scope, is_untouched, read_all

ADA: dict[str, Any] = {PRINCIPAL: Principal("key:ada")}
NOBODY: dict[str, Any] = {PRINCIPAL: ANONYMOUS}
NDJSON = (b"content-type", b"application/x-ndjson")
CHUNKED = (b"transfer-encoding", b"chunked")
POLICY = LimitPolicy(reads=5, writes=4, bulk=3, auth=2, probes=6, anonymous=3, bytes=200_000, concurrent=2, streams=1)


class Edge:
    """The middleware over an application, on a clock that goes on while somebody sleeps."""

    def __init__(self, app: Any = None, policy: LimitPolicy = POLICY) -> None:
        self.clock = Clock()
        self.store = MemoryLimits(self.clock)
        self.slept: list[float] = []
        self.app = LimitMiddleware(app or read_all, self.store, policy, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.go(seconds)

    async def ask(self, *arguments: Any, body: Sequence[bytes] = (b"",), **more: Any) -> Answer:
        self.scope = http_scope(*arguments, **more)
        return await ask(self.app, self.scope, body=body)

    @property
    def told(self) -> dict[str, str]:
        """What the last request was told, however it was answered."""
        return {name.decode(): value.decode() for name, value in self.scope[SENT].added.items()}

    async def admitted(self, *arguments: Any, tries: int = 10, **more: Any) -> int:
        count = 0
        for _ in range(tries):
            try:
                await self.ask(*arguments, **more)
            except RateLimited:
                continue
            count += 1
        return count


async def test_an_answer_tells_what_is_left() -> None:
    edge = Edge(Replying((b"etag", b'"1"')))
    first = await edge.ask("GET", "/users/ada", **ADA)
    edge.clock.go(12)
    second = await edge.ask("GET", "/users/ada", **ADA)
    assert first.headers == {
        "etag": '"1"',
        "ratelimit-policy": '"reads";q=5;w=60, "concurrent";q=2;qu="concurrent-requests"',
        "ratelimit": '"reads";r=4;t=61',
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "4",
        "x-ratelimit-reset-requests": "1m1s",
    }
    assert second.headers["ratelimit"] == '"reads";r=3;t=49'
    assert second.headers["x-ratelimit-reset-requests"] == "49s"


async def test_an_answer_to_a_body_tells_of_its_bytes_too() -> None:
    answer = await Edge().ask("POST", "/users", [(b"content-length", b"300")], body=[b"x" * 300], **ADA)
    assert answer.headers["ratelimit"] == '"writes";r=3;t=61, "bytes";r=199700;t=61'
    assert answer.headers["ratelimit-policy"].endswith('"bytes";q=200000;qu="content-bytes";w=60')


async def test_who_asks_too_much_is_told_when_to_come_back() -> None:
    edge = Edge()
    assert await edge.admitted("GET", "/users/ada", tries=5, **ADA) == 5
    edge.clock.go(20)
    with pytest.raises(RateLimited, match="No more of the quota 'reads' is left; try again in 41 s") as caught:
        await edge.ask("GET", "/users/ada", **ADA)
    assert caught.value.headers == {"Retry-After": "41"}
    assert edge.told == {
        "ratelimit-policy": '"reads";q=5;w=60, "concurrent";q=2;qu="concurrent-requests"',
        "ratelimit": '"reads";r=0;t=41',
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "41s",
    }
    edge.clock.go(41)
    assert (await edge.ask("GET", "/users/ada", **ADA)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "known", "unknown"),
    [
        ("GET", "/users", [], 5, 3),
        ("POST", "/users", [], 4, 3),
        ("POST", "/users", [NDJSON], 3, 3),
        ("GET", "/changes", [(b"accept", b"text/event-stream")], 3, 3),
        ("POST", "/auth/token", [], 2, 2),
        ("GET", "/ready", [], 6, 6),
    ],
)
async def test_each_class_of_routes_has_its_limit(
    method: str, path: str, headers: list[tuple[bytes, bytes]], known: int, unknown: int
) -> None:
    edge = Edge()
    assert await edge.admitted(method, path, headers, **ADA) == known
    assert await edge.admitted(method, path, headers) == unknown


async def test_the_anonymous_have_one_limit_for_everything_but_probes_and_logins() -> None:
    edge = Edge()
    assert await edge.admitted("GET", "/users") == 3
    assert await edge.admitted("POST", "/users", **NOBODY) == 0
    assert await edge.admitted("GET", "/health") == 6
    assert await edge.admitted("POST", "/auth/token") == 2
    assert await edge.admitted("GET", "/users", client=("192.0.2.8", 1)) == 3
    assert await edge.admitted("GET", "/users", client=("2001:db8::1", 1)) == 3
    assert await edge.admitted("GET", "/users", client=("2001:db8::2", 1)) == 0
    assert await edge.admitted("GET", "/users", client=None) == 3
    assert await edge.admitted("GET", "/users", client=("forged", 1)) == 0


class Waiting:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.number += 1
        await self.go.wait()
        await Replying()(scope, receive, send)


async def test_a_caller_may_ask_only_so_much_at_once() -> None:
    app = Waiting()
    edge = Edge(app)
    first = [asyncio.create_task(edge.ask("GET", "/users", **ADA)) for _ in range(2)]
    stream = asyncio.create_task(edge.ask("GET", "/changes", [(b"accept", b"text/event-stream")], **ADA))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match="'concurrent'") as caught:
        await edge.ask("PUT", "/users/ada", **ADA)
    assert caught.value.headers["Retry-After"] == "1"
    with pytest.raises(RateLimited, match="'streams'"):
        await edge.ask("GET", "/export", **ADA)
    other = asyncio.create_task(edge.ask("GET", "/users"))
    await asyncio.sleep(0)
    assert app.number == 4
    app.go.set()
    assert [(await task).status for task in (*first, stream, other)] == [200] * 4
    assert (await edge.ask("PUT", "/users/ada", **ADA)).status == 200


@pytest.mark.parametrize("error", [ZeroDivisionError(), ResourceNotFound("gone"), asyncio.CancelledError()])
async def test_a_place_is_given_back_however_the_request_ends(error: BaseException) -> None:
    edge = Edge(Raising(error))
    for _ in range(5):
        with pytest.raises(type(error)):
            await edge.ask("GET", "/users", **ADA)
    assert edge.store.held("concurrent:principal:key:ada") == 0


async def test_an_error_tells_what_is_left_too() -> None:
    edge = Edge(Raising(ResourceNotFound("gone")))
    with pytest.raises(ResourceNotFound):
        await edge.ask("GET", "/users", **ADA)
    assert edge.told["ratelimit"] == '"reads";r=4;t=61'


async def test_a_declared_body_beyond_the_quota_is_refused_unread() -> None:
    app = Replying()
    edge = Edge(app)
    declared = [(b"content-length", b"150000")]
    await edge.ask("POST", "/users", declared, **ADA)
    with pytest.raises(RateLimited, match="'bytes'"):
        await edge.ask("POST", "/users", declared, **ADA)
    assert edge.told["ratelimit"] == '"bytes";r=50000;t=61'
    assert "x-ratelimit-remaining-requests" not in edge.told
    assert len(app.scopes) == 1
    assert (await edge.ask("POST", "/users", [(b"content-length", b"50000")], **ADA)).status == 200


@pytest.mark.parametrize("length", [b"200001", b"9" * 15, b"9" * 400, b"x", b"-1", b"\xb2", b""])
async def test_a_length_that_others_refuse_takes_no_bytes(length: bytes) -> None:
    answer = await Edge(Replying()).ask("POST", "/users", [(b"content-length", length)], **ADA)
    assert answer.headers["ratelimit"] == '"writes";r=3;t=61'


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([CHUNKED], "1.1"),
        ([NDJSON, CHUNKED], "1.1"),
        ([NDJSON, (b"content-length", b"500000")], "1.1"),
        ([], "2"),
    ],
)
async def test_a_streamed_body_comes_in_as_fast_as_the_quota_allows(
    headers: list[tuple[bytes, bytes]], version: str
) -> None:
    edge = Edge()
    answer = await edge.ask("POST", "/users", headers, body=[b"x" * 50_000] * 10, http_version=version, **ADA)
    assert answer.body == b"500000"
    assert sum(edge.slept) == 2 * 61
    assert max(edge.slept) == 1


async def test_the_end_of_a_streamed_body_is_counted_before_it_is_told() -> None:
    edge = Edge()
    await edge.ask("POST", "/users", [CHUNKED], body=[b"x" * 150, b"x" * 50, b""], **ADA)
    after = await edge.ask("POST", "/users", [(b"content-length", b"1")], **ADA)
    assert '"bytes";r=199799;' in after.headers["ratelimit"]
    await edge.ask("POST", "/users", [CHUNKED], body=[b"x" * 60_000] * 4, **ADA)
    assert sum(edge.slept) == 61


async def test_a_part_larger_than_the_quota_is_paid_in_parts() -> None:
    edge = Edge(policy=LimitPolicy(bytes=40_000))
    answer = await edge.ask("POST", "/users", [CHUNKED], body=[b"x" * 100_000], **ADA)
    assert (answer.body, sum(edge.slept)) == (b"100000", 2 * 61)


async def test_a_sender_that_is_gone_pays_nothing() -> None:
    edge = Edge()
    messages: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        messages.extend([await receive(), await receive()])

    await edge.ask("POST", "/users", [CHUNKED], body=[b"x"], **ADA)
    await ask(LimitMiddleware(app, edge.store, POLICY), http_scope("POST", "/users", [CHUNKED], **ADA), body=[b"x"])
    assert [message["type"] for message in messages] == ["http.request", "http.disconnect"]


async def test_what_is_not_limited_is_not_spoken_of() -> None:
    edge = Edge(policy=LimitPolicy())
    answer = await edge.ask("POST", "/users", [CHUNKED], body=[b"x"])
    assert answer.headers == {}
    only_places = await Edge(Replying(), LimitPolicy(concurrent=7)).ask("GET", "/users")
    assert only_places.headers == {"ratelimit-policy": '"concurrent";q=7;qu="concurrent-requests"'}
    only_bytes = await Edge(Replying(), LimitPolicy(bytes=900)).ask("PUT", "/a/b", [(b"content-length", b"5")])
    assert only_bytes.headers == {
        "ratelimit-policy": '"bytes";q=900;qu="content-bytes";w=60',
        "ratelimit": '"bytes";r=895;t=61',
    }


async def test_what_was_decided_is_told() -> None:
    told: list[LimitDecided] = []
    end = listen(LimitDecided, told.append)
    edge = Edge()
    assert await edge.admitted("DELETE", "/users/x", tries=5, **ADA) == 4
    strangers = StrangerLimit(edge.store, POLICY)
    for _ in range(3):
        await strangers(http_scope())
    with pytest.raises(RateLimited):
        await strangers(http_scope())
    end()
    admitted, refused = LimitDecided("writes", "admitted", "none"), LimitDecided("writes", "refused", "writes")
    assert told == [admitted] * 4 + [refused] + [LimitDecided("strangers", "refused", "anonymous")]


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(LimitMiddleware(app, MemoryLimits(), POLICY), app)
