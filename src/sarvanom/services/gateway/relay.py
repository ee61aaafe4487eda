"""Calls carried out by crud: the gateway's hop, which hands bytes on as they are."""

from typing import Final

from sarvanom.shared.clients.transport import Request, Transport
from sarvanom.web.calls import Answer, Call, Headers

_HANDED_ON: Final = frozenset({b"content-type", b"etag", b"location", b"sarvanom-revision", b"retry-after", b"accept"})


class Relay:
    """Sends calls to crud and hands its answers on; the `Perform` of the gateway."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __call__(self, call: Call) -> Answer:
        """Carry out a call; raises what the transport raises."""
        headers: Headers = [(b"x-request-id", call.request_id.encode())]
        if call.headers:
            headers += call.headers
        response = await self._transport.send(Request(call.method, call.target, headers, call.body))
        handed_on = [header for header in response.headers if header[0] in _HANDED_ON]
        return Answer(response.status, handed_on, response.body)
