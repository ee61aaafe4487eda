"""`GET /metrics`."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.security.scopes import METRICS_READ
from sarvanom.shared.errors import Forbidden, RateLimited, ServiceUnavailable, Unauthorized
from sarvanom.web.authorization import require
from sarvanom.web.declared_answers import problem_answers
from sarvanom.web.middleware.observation import ROUTE
from sarvanom.web.middleware.statement import METRICS_PATH

type ReadMetrics = Callable[[str], Awaitable[tuple[str, bytes]]]
"""Returns media type and text of the metrics, for what a scraper accepts."""

_REFUSALS: Final = (Unauthorized, Forbidden, RateLimited, ServiceUnavailable)


def register_metrics(app: FastAPI, read: ReadMetrics) -> None:
    """Add the route."""

    async def read_metrics(request: Request) -> Response:
        """Report what the service has measured, all of its workers, for Prometheus."""
        request.scope[ROUTE] = METRICS_PATH
        require(request.scope, {METRICS_READ})
        media_type, text = await read(request.headers.get("accept", ""))
        return Response(text, headers={"Cache-Control": "no-store", "Content-Type": media_type})

    responses = problem_answers(_REFUSALS)
    text = {"schema": {"type": "string", "maxLength": 2**31 - 1}}
    responses[200] = {
        "description": "The metrics",
        "content": {"text/plain; version=0.0.4": text, "application/openmetrics-text; version=1.0.0": text},
    }
    app.router.add_route(METRICS_PATH, read_metrics, methods=["GET"], include_in_schema=False)
    app.get(
        METRICS_PATH,
        tags=["health"],
        operation_id="read_metrics",
        response_class=Response,
        responses=responses,
        summary="Report what the service has measured",
    )(read_metrics)
