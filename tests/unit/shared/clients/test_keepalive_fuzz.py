"""The hop over a real socket to a service that cuts, damages and glues its answers at will."""

import asyncio
from contextlib import suppress
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request, Response
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from tests.unit.shared.clients.peers import Conversation, serve

FRAMES = (
    b"HTTP/1.1 200 OK\r\ncontent-length: %(length)d\r\n\r\n%(body)s",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%(length)x\r\n%(body)s\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %(length)d\r\n\r\n%(body)s",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: %(length)d\r\n\r\n%(body)s",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, object]:
    """How the service treats one request."""
    return {
        "frame": draw(st.sampled_from(FRAMES)),
        "cuts": draw(st.lists(st.integers(0, 120), max_size=3)),
        "damage": draw(st.none() | st.tuples(st.integers(0, 120), st.binary(max_size=3))),
        "tail": draw(st.sampled_from([b"", b"", b"", b"H", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"])),
        "then": draw(st.sampled_from(["listen", "listen", "listen", "close", "reset"])),
    }


async def follow(conversation: Conversation, plan: dict[str, object]) -> bool:
    """Answer one request as planned, and tell whether the connection goes on."""
    target = (await conversation.hear()).split(b" ")[1]
    frame = plan["frame"]
    assert isinstance(frame, bytes)
    raw = frame % {b"length": len(target), b"body": target}
    tail = plan["tail"]
    match plan["damage"]:
        case (int(place), bytes(junk)):
            raw, tail = raw[:place] + junk + raw[place + 1 :], b""
    assert isinstance(tail, bytes)
    assert isinstance(plan["cuts"], list)
    bounds = [0, *sorted({cut % len(raw) for cut in plan["cuts"]})]
    for start, end in pairwise(bounds):
        await conversation.say(raw[start:end])
        await asyncio.sleep(0)
    await conversation.say(raw[bounds[-1] :] + tail)
    if plan["then"] == "reset":
        conversation.writer.transport.abort()
    return plan["then"] == "listen"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(plans(), min_size=1, max_size=6),
    st.lists(st.sampled_from(["GET", "HEAD", "POST"]), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_every_request_ends_in_its_own_answer_or_an_error(
    treatment: list[dict[str, object]], methods: list[str], connections: int
) -> None:
    turns = iter(range(10_000))

    async def talk(conversation: Conversation) -> None:
        while await follow(conversation, treatment[next(turns) % len(treatment)]):
            pass

    async def send(transport: KeepAliveTransport, number: int, method: str) -> None:
        target = b"/request-%d-" % number
        with suppress(ServiceUnavailable, UpstreamFailed, UpstreamTimeout):
            response = await transport.send(Request(method, target))
            check(response, target, method)

    def check(response: Response, target: bytes, method: str) -> None:
        """Damage may change a body's bytes; it never makes it another request's."""
        assert b"evil" not in response.body
        assert b"/request-" not in response.body or target[:-1] in response.body or has_damage
        if method == "HEAD":
            assert response.body == b""

    has_damage = any(plan["damage"] is not None for plan in treatment)

    async def run() -> None:
        async with serve(talk) as peer:
            transport = KeepAliveTransport(peer.url, max_connections=connections, timeout=0.05)
            for number, method in enumerate(methods):
                await send(transport, number, method)
            sends = [send(transport, 100 + number, method) for number, method in enumerate(methods)]
            await asyncio.wait_for(asyncio.gather(*sends), 5)
            await transport.aclose()

    asyncio.run(run())
