"""Security headers: on every answer, once, and not over what the answer says itself."""

import pytest

from sarvanom.shared.errors import ResourceNotFound
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.security_headers import SecurityHeadersMiddleware
from tests.unit.web.asgi import Raising, Replying, Untouched, ask, http_scope, is_untouched

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


async def test_every_answer_has_the_set() -> None:
    answer = await ask(SecurityHeadersMiddleware(Replying()))
    assert EXPECTED.items() <= answer.headers.items()
    assert "camera=(), " in answer.headers["permissions-policy"]
    assert answer.body == b"{}"


async def test_an_error_has_the_set() -> None:
    answer = await ask(SecurityHeadersMiddleware(ProblemMiddleware(Raising(ResourceNotFound("No such user")))))
    assert answer.status == 404
    assert EXPECTED.items() <= answer.headers.items()


@pytest.mark.parametrize(("scheme", "has"), [("http", False), ("https", True)])
async def test_strict_transport_security_is_for_https_alone(scheme: str, has: bool) -> None:
    answer = await ask(SecurityHeadersMiddleware(Replying()), http_scope(scheme=scheme))
    assert ("strict-transport-security" in answer.headers) is has


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"cache-control", b"no-cache"), (b"content-security-policy", b"default-src 'self'")],
)
async def test_what_the_answer_sets_itself_is_kept(name: bytes, value: bytes) -> None:
    answer = await ask(SecurityHeadersMiddleware(Replying((name, value))))
    assert answer.headers == EXPECTED | {
        name.decode(): value.decode(),
        "permissions-policy": answer.headers["permissions-policy"],
    }


async def test_a_message_that_the_application_keeps_is_not_changed() -> None:
    app = Replying()
    middleware = SecurityHeadersMiddleware(app)
    first, second = await ask(middleware), await ask(middleware)
    assert app.start["headers"] == []
    assert first.headers == second.headers


async def test_an_answer_without_headers_gets_them() -> None:
    app = Replying()
    del app.start["headers"]
    assert EXPECTED.items() <= (await ask(SecurityHeadersMiddleware(app))).headers.items()


async def test_other_scopes_pass_untouched() -> None:
    app = Untouched()
    assert await is_untouched(SecurityHeadersMiddleware(app), app)
