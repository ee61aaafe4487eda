"""No header that crud reads can be added to what a gateway has stated, or changed."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from starlette.routing import Route

from sarvanom.security.principals import GATEWAY
from sarvanom.security.statements import COVERED, HEADER
from sarvanom.shared.errors import SarvanOMError
from sarvanom.web.routing import DirectRoute
from tests.harness.identity import ADMINISTRATOR, STATEMENTS
from tests.unit.services.test_main import make_crud, running
from tests.unit.web.asgi import ask, http_scope

FRAMING = {b"content-length", b"transfer-encoding"}
"""They say where a body ends, and the body is covered itself."""
VARIANTS = [
    [(b"content-type", b"application/json")],
    [(b"content-type", b"application/x-ndjson")],
    [(b"accept", b"application/x-ndjson"), (b"content-type", b"application/merge-patch+json")],
    [(b"accept", b"text/event-stream"), (b"last-event-id", b"none")],
]


class Name(bytes):
    """The name of a header that notes what it is compared to."""

    compared: set[bytes]

    def __new__(cls, text: bytes) -> Self:
        name = super().__new__(cls, text)
        name.compared = set()
        return name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes):
            self.compared.add(bytes(other))
        return bytes.__eq__(self, other) is True

    __hash__ = bytes.__hash__


def scope_of(route: Route | DirectRoute, method: str, headers: list[tuple[bytes, bytes]], name: Name) -> dict[str, Any]:
    path = re.sub(r"\{(\w+)\}", lambda field: "1/revert" if field[1] == "revision" else "x", route.path_format)
    principal = GATEWAY if type(route) is Route else ADMINISTRATOR
    statement = STATEMENTS.sign(principal, method, path.encode(), headers, b"{}")
    return http_scope(method, path, [*headers, (HEADER, statement), (name, b"1")])


async def test_every_header_that_crud_reads_is_covered(tmp_path: Path) -> None:
    name = Name(b"x-nothing")
    async with running(make_crud(tmp_path)) as app:
        for route in app.routes:
            assert isinstance(route, Route | DirectRoute)
            for method in [route.method] if isinstance(route, DirectRoute) else route.methods or ():
                for headers in VARIANTS:
                    with suppress(SarvanOMError):
                        await ask(app, scope_of(route, method, headers, name), body=[b"{}"])
    read = {one for one in name.compared if one.islower()}
    assert read - FRAMING - {HEADER} <= COVERED
    assert read >= COVERED, "every one of them was seen to be read"
