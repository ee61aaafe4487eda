"""Nobody but a gateway is answered, and no other body than the one that it stated."""

from hashlib import sha256

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.security.statements import HEADER
from sarvanom.shared.errors import Unauthorized
from sarvanom.web.authorization import PRINCIPAL
from sarvanom.web.bodies import read_body
from sarvanom.web.middleware.statement import BODY_DIGEST, StatementMiddleware
from tests.harness.identity import ADMINISTRATOR, STATEMENTS
from tests.unit.web.asgi import Replying, Untouched, ask, http_scope, is_untouched, signed_scope

JSON = [(b"content-type", b"application/json")]


def behind(app: ASGIApp) -> StatementMiddleware:
    return StatementMiddleware(app, STATEMENTS, ["/health"])


async def read(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await Replying(body=body)(scope, receive, send)


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"", b"bc"], [b"abc", b""]])
async def test_who_asks_is_whom_the_gateway_stated(pieces: list[bytes]) -> None:
    scope = signed_scope("POST", "/settings", JSON, b"abc")
    answer = await ask(behind(read), scope, body=pieces)
    assert (answer.status, answer.body) == (200, b"abc")
    assert (scope[PRINCIPAL], scope[BODY_DIGEST]) == (ADMINISTRATOR, sha256(b"abc").digest())


@pytest.mark.parametrize("pieces", [[b"abd"], [b"a", b"b"], [b"abc", b"d"], [b""]])
async def test_another_body_is_refused_at_its_end(pieces: list[bytes]) -> None:
    with pytest.raises(Unauthorized, match="body"):
        await ask(behind(read), signed_scope("POST", "/settings", JSON, b"abc"), body=pieces)


async def test_body_that_is_not_covered_is_taken_as_it_comes() -> None:
    statement = STATEMENTS.sign(ADMINISTRATOR, "POST", b"/settings?on_conflict=skip", JSON, None)
    scope = http_scope("POST", "/settings", [*JSON, (HEADER, statement)], query_string=b"on_conflict=skip")
    assert (await ask(behind(read), scope, body=[b"any", b"thing"])).body == b"anything"
    assert scope[BODY_DIGEST] is None


@pytest.mark.parametrize("count", [0, 2])
async def test_there_must_be_one_statement(count: int) -> None:
    statement = STATEMENTS.sign(ADMINISTRATOR, "GET", b"/users", [], b"")
    app = Replying()
    with pytest.raises(Unauthorized, match="gateways alone"):
        await ask(behind(app), http_scope(path="/users", headers=[(HEADER, statement)] * count))
    assert app.scopes == []


async def test_open_path_needs_none_and_makes_nobody_known() -> None:
    app = Replying()
    assert (await ask(behind(app), http_scope(path="/health"))).status == 200
    assert PRINCIPAL not in app.scopes[0]


async def test_other_scopes_pass() -> None:
    app = Untouched()
    assert await is_untouched(behind(app), app)


TOKEN = "scraper-" + "x" * 32


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN}"])
async def test_metrics_are_read_with_their_token(given: str) -> None:
    app = StatementMiddleware(Replying(), STATEMENTS, [], TOKEN)
    scope = http_scope(path="/metrics", headers=[(b"authorization", given.encode())])
    await ask(app, scope)
    assert scope[PRINCIPAL].scopes == {"metrics:read"}


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/metrics", [TOKEN]),
        ("/metrics", [f"Basic {TOKEN}"]),
        ("/metrics", [f"Bearer {TOKEN}x"]),
        ("/metrics", ["Bearer "]),
        ("/metrics", ["Bearer \xe4"]),
        ("/metrics", [f"Bearer {TOKEN}"] * 2),
        ("/metrics/", [f"Bearer {TOKEN}"]),
        ("/users", [f"Bearer {TOKEN}"]),
    ],
)
async def test_nothing_else_is_and_with_nothing_else(path: str, given: list[str]) -> None:
    app = StatementMiddleware(Untouched(), STATEMENTS, [], TOKEN)
    headers = [(b"authorization", one.encode("latin-1")) for one in given]
    with pytest.raises(Unauthorized):
        await ask(app, http_scope(path=path, headers=headers))


async def test_without_a_token_there_is_none_to_guess() -> None:
    for given in (b"Bearer ", b"Bearer None"):
        with pytest.raises(Unauthorized):
            await ask(behind(Untouched()), http_scope(path="/metrics", headers=[(b"authorization", given)]))
