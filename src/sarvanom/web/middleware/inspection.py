"""Whether what a stranger sends looks like an attack on a database or a browser."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sarvanom.shared.resources import Resource
from sarvanom.web.inspected_lines import INLINE_BYTES, InspectedLines
from sarvanom.web.inspected_texts import find_resource
from sarvanom.web.inspection import Inspection
from sarvanom.web.middleware.body_limit import LINE_LIMIT

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_RESTORE: Final = "/import"


class InspectionMiddleware:
    """Judges path, query and headers before, and the body while it is read; raises `ContentBlocked`.

    Stands inside of `BodyLimitMiddleware`, which bounds what is held here until its end has come.
    """

    def __init__(self, app: ASGIApp, inspection: Inspection) -> None:
        self._app = app
        self._inspection = inspection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._inspection.check_head(scope)
        if scope["method"] in _WITH_BODY:
            path: str = scope["path"]
            resource = find_resource(path)
            if LINE_LIMIT in scope:
                receive, send = self._lines(scope, resource, receive, send)
            elif resource is not None:
                receive = self._body(resource, receive)
        await self._app(scope, receive, send)

    def _lines(
        self, scope: Scope, resource: Resource[Any] | None, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        if resource is not None:
            check: Callable[[bytes], None] = partial(self._inspection.check_item, resource)
        elif scope["path"] == _RESTORE:
            check = self._inspection.detect_line
        else:
            return receive, send
        lines = InspectedLines(check, scope[LINE_LIMIT], receive, send)
        return lines.receive, lines.send

    def _body(self, resource: Resource[Any], receive: Receive) -> Receive:
        chunks: list[bytes] = []

        async def receive_inspected() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await self._check_body(resource, b"".join(chunks))
                    chunks.clear()
            return message

        return receive_inspected

    async def _check_body(self, resource: Resource[Any], body: bytes) -> None:
        if len(body) > INLINE_BYTES:
            await asyncio.to_thread(self._inspection.check_item, resource, body)
        else:
            self._inspection.check_item(resource, body)
