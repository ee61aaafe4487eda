"""Nobody is let in who was not proven."""

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.shared.errors import SarvanOMError
from sarvanom.web.middleware.authentication import REFUSAL


class IdentityMiddleware:
    """Raises why `AuthenticationMiddleware` has proven nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal: SarvanOMError | None = scope.get(REFUSAL)
        if refusal is not None:
            raise refusal
        await self._app(scope, receive, send)
