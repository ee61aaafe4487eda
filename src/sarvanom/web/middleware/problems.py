"""The last resort: every error that a request ends with becomes problem details."""

import asyncio

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.errors import SarvanOMError, UpstreamFailed
from sarvanom.shared.observations import ErrorUnforeseen, tell
from sarvanom.web.problems import send_problem, unexpected_error
from sarvanom.web.sending import CONNECTION, drop_connection
from sarvanom.web.sent_answer import sent_answer

_log = structlog.get_logger()


class ProblemMiddleware:
    """Answers deliberate errors as they say, and tells of any other exception behind a plain 500.

    In the midst of an answer the connection is dropped, so that no caller takes half an answer for a whole one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent, send = sent_answer(scope, send)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not sent.status:
                await send_problem(scope, send, UpstreamFailed("The service stopped; perhaps it acted before"))
            raise
        except ClientDisconnect:
            # Nobody is left to answer.
            return
        except Exception as raised:
            error = raised if isinstance(raised, SarvanOMError) else unexpected_error(scope)
            if error is not raised:
                tell(ErrorUnforeseen(raised, "a request"))
            if not sent.status:
                await send_problem(scope, send, error)
            elif not sent.is_complete:
                if CONNECTION not in scope:
                    raise  # the server's to drop
                if error is raised:
                    _log.info("answer broke off", reason=error.detail)
                await drop_connection(scope)
