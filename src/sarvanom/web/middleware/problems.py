"""The last resort: every error that a request ends with becomes problem details."""

import asyncio
from collections.abc import Awaitable

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.shared.errors import SarvanOMError, UpstreamFailed
from sarvanom.shared.observations import ErrorUnforeseen, tell
from sarvanom.web.problems import send_problem, unexpected_error

_log = structlog.get_logger()


class ProblemMiddleware:
    """Answers deliberate errors as they say, and logs any other exception behind a plain 500.

    In the midst of an answer the exception goes on to the server, which logs it and drops the connection, so that no
    caller takes half an answer for a whole one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = ended = False

        def send_noting(message: Message) -> Awaitable[None]:
            nonlocal began, ended
            ended = began and not message.get("more_body")
            began = True
            return send(message)

        try:
            await self._app(scope, receive, send_noting)
        except asyncio.CancelledError:
            if not began:
                await send_problem(scope, send, UpstreamFailed("The service stopped; perhaps it acted before"))
            raise
        except ClientDisconnect:
            # Nobody is left to answer.
            return
        except Exception as error:
            if not isinstance(error, SarvanOMError):
                tell(ErrorUnforeseen())
            if began and not ended:
                raise
            if not isinstance(error, SarvanOMError):
                _log.exception("unhandled exception")
                error = unexpected_error(scope)
            if not began:
                await send_problem(scope, send, error)
