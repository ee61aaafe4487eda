"""Reading bodies, whole or in pieces."""

from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from sarvanom.web.bodies import read_body


async def read(*messages: Message) -> tuple[bytes, int]:
    """Return the body, and how many messages were left unread."""
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0)

    return await read_body(receive), len(left)


def chunk(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT: Message = {"type": "http.disconnect"}


@pytest.mark.parametrize("chunks", [[b"{}"], [b"{", b"}"], [b"", b"{", b"", b"}", b""], [b""]])
async def test_pieces_are_put_together_and_nothing_more_is_read(chunks: Sequence[bytes]) -> None:
    messages = [chunk(part, more=index < len(chunks) - 1) for index, part in enumerate(chunks)]
    assert await read(*messages, DISCONNECT) == (b"".join(chunks), 1)


async def test_message_may_leave_out_what_is_empty() -> None:
    assert await read({"type": "http.request"}) == (b"", 0)
    assert await read({"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"a"}) == (b"a", 0)


@pytest.mark.parametrize("before", [[], [chunk(b'{"a": 1}', more=True)]])
async def test_caller_who_went_away_sent_no_body(before: list[Message]) -> None:
    with pytest.raises(ClientDisconnect):
        await read(*before, DISCONNECT)
