"""What a gateway asks crud in its own name."""

from typing import Final

from pydantic import BaseModel, ValidationError

from sarvanom.security.principals import GATEWAY
from sarvanom.security.statements import HEADER, Statements
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.shared.clients.idempotency import KeySequence
from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Headers, Request, Transport
from sarvanom.shared.errors import ResourceNotFound, Unauthorized, UpstreamFailed
from sarvanom.shared.models.key_models import ApiKey
from sarvanom.shared.models.session_models import SessionAnswer, SessionEnd, SessionRequest, Standing

_KEY: Final = b"/authenticate"
_OPEN: Final = b"/sessions"
_FIND: Final = b"/sessions/find"
_END: Final = b"/sessions/end"
_NOBODYS: Final = "0" * 64


class Questions:
    """Asks crud about keys and sessions; raises whatever keeps crud from answering."""

    def __init__(self, transport: Transport, statements: Statements, recognition: Recognition) -> None:
        self._transport = transport
        self._statements = statements
        self._recognition = recognition
        self._keys = KeySequence()

    async def find_key(self, digest: str) -> ApiKey | None:
        """Return the key that has a digest, or None if there is none."""
        body = await self._ask(_KEY, digest.encode())
        return None if body is None else _read(ApiKey, body)

    async def check(self) -> None:
        """Return if crud knows this gateway; raises `ServiceUnavailable`."""
        await self.find_key(_NOBODYS)

    async def find_session(self, session_id: str) -> Standing | None:
        """Return whom a session speaks for now, or None if it is over."""
        body = await self._ask(_FIND, session_id.encode())
        return None if body is None else _read(Standing, body)

    async def open_session(self, request: SessionRequest) -> SessionAnswer:
        """Have a session begun, or gone on with."""
        return _read(SessionAnswer, await self._ask(_OPEN, request.model_dump_json().encode()) or b"")

    async def end_session(self, request: SessionEnd) -> SessionAnswer:
        """Have a session ended."""
        return _read(SessionAnswer, await self._ask(_END, request.model_dump_json().encode()) or b"")

    async def _ask(self, target: bytes, body: bytes) -> bytes | None:
        # With a key of its own the question may be sent again.
        headers: Headers = [(b"content-type", b"text/plain"), (b"idempotency-key", self._keys.next().encode())]
        headers.append((HEADER, self._statements.sign(GATEWAY, "POST", target, headers, body)))
        response = await self._transport.send(Request("POST", target, headers, body))
        if response.status == 200:
            return response.body
        error = error_from_response(response)
        if isinstance(error, ResourceNotFound):
            return None
        if isinstance(error, Unauthorized):
            raise self._recognition.refused(error.detail)
        raise error


def _read[M: BaseModel](model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body, extra="ignore")
    except ValidationError:
        raise UpstreamFailed("crud's answer cannot be read") from None
