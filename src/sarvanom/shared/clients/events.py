"""Server-sent events, read off a stream (HTML, section 9.2)."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, NamedTuple

from sarvanom.shared.errors import UpstreamFailed

_END: Final = b"\n\n"
_MAX_EVENT_BYTES: Final = 64 * 2**20


class ServerSentEvent(NamedTuple):
    """One block of a stream: its id as it stands now, and its data, None for a block that has none."""

    id: str
    data: bytes | None


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[ServerSentEvent]:
    """Yield the blocks of a stream, also those without data, whose id a reader resumes after.

    Raises:
        UpstreamFailed: a block is larger than any that a service sends; and what `chunks` raises.
    """
    last_id = ""
    pending = bytearray()
    async for chunk in chunks:
        begin, scanned = 0, max(0, len(pending) - 1)
        pending += chunk
        while (end := pending.find(_END, max(begin, scanned))) >= 0:
            event = _parse(bytes(pending[begin:end]), last_id)
            last_id = event.id
            begin = end + len(_END)
            yield event
        del pending[:begin]
        if len(pending) > _MAX_EVENT_BYTES:
            raise UpstreamFailed("The service sends an event that is larger than may be")


def _parse(block: bytes, last_id: str) -> ServerSentEvent:
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id":
            last_id = value.decode()
        elif name == b"data":
            data.append(value)
    return ServerSentEvent(last_id, b"\n".join(data) if data else None)
