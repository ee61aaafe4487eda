"""What gateways ask about sessions, and have done to them; for them alone."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.security.oauth import OAuthError
from sarvanom.security.principals import AUTHENTICATE
from sarvanom.services.crud.sessions import Sessions, error_answer
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from sarvanom.shared.models.session_models import SessionAnswer, SessionEnd, SessionRequest
from sarvanom.web.authorization import require
from sarvanom.web.bodies import read_body
from sarvanom.web.middleware.observation import ROUTE

OPEN: Final = "/sessions"
FIND: Final = "/sessions/find"
END: Final = "/sessions/end"
_MAX_ID_LENGTH: Final = 64


def register_sessions(app: FastAPI, sessions: Sessions) -> None:
    """Add the three routes, whose bodies are a `SessionRequest`, a session's id and a `SessionEnd`."""

    async def open_session(body: bytes) -> BaseModel:
        try:
            return await sessions.open(_parse(SessionRequest, body))
        except OAuthError as error:
            return error_answer(error)

    async def end_session(body: bytes) -> BaseModel:
        try:
            await sessions.end(_parse(SessionEnd, body))
        except OAuthError as error:
            return error_answer(error)
        return SessionAnswer()

    async def find_session(body: bytes) -> BaseModel:
        is_id = len(body) <= _MAX_ID_LENGTH and body.isalnum()
        found = await sessions.find(body.decode("ascii")) if is_id else None
        if found is None:
            raise ResourceNotFound("The session is over")
        return found

    for path, answer in ((OPEN, open_session), (END, end_session), (FIND, find_session)):
        app.router.add_route(path, _endpoint(path, answer), methods=["POST"], include_in_schema=False)


def _endpoint(path: str, answer: Callable[[bytes], Awaitable[BaseModel]]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        request.scope[ROUTE] = path
        require(request.scope, {AUTHENTICATE})
        found = await answer(await read_body(request.receive))
        return Response(found.model_dump_json(), media_type="application/json")

    return serve


def _parse[M: BaseModel](model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise ValidationFailed("The gateway's request is not valid") from None
