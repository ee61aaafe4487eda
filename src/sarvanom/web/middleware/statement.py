"""Nobody but a gateway is answered: it states who asks, and signs that."""

import hmac
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.security.metrics_token import MetricsToken
from sarvanom.security.principals import Principal
from sarvanom.security.statements import HEADER, Statements
from sarvanom.shared.errors import InvalidHeader, Unauthorized
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.middleware.authentication import bearer_token

METRICS_PATH: Final = "/metrics"
BODY_DIGEST: Final = "sarvanom.body_digest"
"""Where the scope keeps the SHA-256 that the body was stated to have; whoever has read it to its end may rely on it."""


class StatementMiddleware:
    """Takes the principal from the gateway's statement, and watches over the body that it was made for.

    `/metrics` is also answered to who bears the metrics token. Raises `Unauthorized` unless the path is an open one.
    """

    def __init__(
        self,
        app: ASGIApp,
        statements: Statements,
        open_paths: Collection[str],
        metrics_token: str | None = None,
    ) -> None:
        self._app = app
        self._statements = statements
        self._open_paths = frozenset(open_paths)
        self._metrics = MetricsToken(metrics_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            receive = self._verify(scope, receive)
        await self._app(scope, receive, send)

    def _verify(self, scope: Scope, receive: Receive) -> Receive:
        headers = scope["headers"]
        given = [value for name, value in headers if name == HEADER]
        if not given and scope["path"] == METRICS_PATH and (scraper := self._scraper(scope)) is not None:
            scope[PRINCIPAL] = scraper
            return receive
        if len(given) != 1:
            raise Unauthorized("This service answers gateways alone; ask the gateway")
        target: bytes = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        statement = self._statements.verify(given[0], scope["method"], target, headers)
        scope[PRINCIPAL] = statement.principal
        scope[BODY_DIGEST] = statement.body_digest
        return receive if statement.body_digest is None else _watched(receive, statement.body_digest)

    def _scraper(self, scope: Scope) -> Principal | None:
        try:
            return self._metrics.principal(bearer_token(scope))
        except (Unauthorized, InvalidHeader):
            return None


def _watched(receive: Receive, expected: bytes) -> Receive:
    """Return a `receive` that raises at the end of a body that is another one than was stated."""
    received = sha256()

    async def receive_watched() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            received.update(message.get("body", b""))
            if not message.get("more_body", False) and not hmac.compare_digest(received.digest(), expected):
                raise Unauthorized("The body is not the one for which the gateway has stated who sends it")
        return message

    return receive_watched
