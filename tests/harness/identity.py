"""Who tests are: an administrator with a fixed key, and a gateway that signs what it states to crud."""

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import httpx2

from sarvanom.security.api_keys import digest_of, hint_of
from sarvanom.security.derived_keys import derive_key
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.statements import HEADER, PURPOSE, Statements
from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.retries import RetryingTransport
from sarvanom.shared.clients.service_client import CRUDServiceClient, ServiceClient
from sarvanom.shared.clients.transport import Request, Response, StreamedResponse, Transport
from sarvanom.shared.models.key_models import ApiKey, Role

ADMIN_KEY: Final = "sk-tests-J4hQm2vXb8Rk6Ws1Zt9Yd3Lc7Pf5Ng0"
INTERNAL_SECRET: Final = "n3Vq8Zk1Xw6Ls0Rt5Yb2Hd9Jm4Pf7Gc-tests"
ADMIN_HEADERS: Final = {"Authorization": f"Bearer {ADMIN_KEY}"}
BEARER: Final = f"Authorization: Bearer {ADMIN_KEY}\r\n".encode()
"""The same for a request that is written by hand."""
PROOF: Final = b"X-Proof: here\r\n"
"""Where `prove` is to put the lines that prove who asks."""
SETTINGS: Final = {"SARVANOM_ADMIN_KEY": ADMIN_KEY, "SARVANOM_INTERNAL_SECRET": INTERNAL_SECRET}
"""What a system is started with that these values are to be good for."""

ADMINISTRATOR: Final = Principal("key:key-administrator", SCOPES)
"""Whom the gateway finds behind the administrator's key."""

STATEMENT_KEY: Final = derive_key(INTERNAL_SECRET.encode(), PURPOSE)
STATEMENTS: Final = Statements(STATEMENT_KEY)


class SignedRequests(httpx2.Auth):
    """Lets a client of crud speak as a gateway does for a principal."""

    def __init__(self, principal: Principal = ADMINISTRATOR) -> None:
        self._principal = principal

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        self._sign(request)
        yield request

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        self._sign(request)
        yield request

    def _sign(self, request: httpx2.Request) -> None:
        try:
            body: bytes | None = request.content
        except httpx2.RequestNotRead:
            body = None
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        target: bytes = request.extensions.get("target", request.url.raw_path)
        request.headers[HEADER.decode()] = STATEMENTS.sign(
            self._principal, request.method, target.removesuffix(b"?"), headers, body
        ).decode()


class SigningTransport(Transport):
    """Carries requests to crud over another transport, as a gateway does for a principal."""

    def __init__(self, inner: Transport, principal: Principal = ADMINISTRATOR) -> None:
        self._inner = inner
        self._principal = principal

    async def send(self, request: Request) -> Response:
        return await self._inner.send(self._signed(request, request.body))

    def stream(
        self, request: Request, body: AsyncIterable[bytes] | None = None
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        return self._inner.stream(self._signed(request, request.body if body is None else None), body)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _signed(self, request: Request, body: bytes | None) -> Request:
        statement = STATEMENTS.sign(self._principal, request.method, request.target, request.headers, body)
        return Request(request.method, request.target, [*request.headers, (HEADER, statement)], request.body)


def administrators_key() -> bytes:
    """Return what crud answers when it is asked whose the administrator's key is."""
    key = ApiKey(
        key_id="key-administrator",
        name="administrator",
        roles=[Role.ADMIN],
        hint=hint_of(ADMIN_KEY),
        digest=digest_of(ADMIN_KEY),
    )
    return key.model_dump_json().encode()


def signing_client(url: str) -> CRUDServiceClient:
    """Return a client of crud that speaks as a gateway does for an administrator."""
    return CRUDServiceClient(ServiceClient(RetryingTransport(SigningTransport(HTTPXTransport(url)))))


def identity_lines(
    method: str, target: str | bytes, headers: Sequence[str] = (), body: bytes | None = b""
) -> list[str]:
    """Return header lines that prove an administrator to the gateway, and to crud a gateway that speaks for him.

    Each service looks at its own and at nothing else. `headers` are the other lines; no body: it is not covered.
    """
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    if not raw.startswith(b"/"):
        raw = b"/" + raw.partition(b"://")[2].partition(b"/")[2]
    pairs = [line.encode("latin-1").partition(b":") for line in headers]
    raw = raw.partition(b"#")[0].removesuffix(b"?")
    covered = [(name.lower(), value.strip()) for name, _, value in pairs]
    statement = STATEMENTS.sign(ADMINISTRATOR, method, raw, covered, body)
    return [f"Authorization: Bearer {ADMIN_KEY}", f"{HEADER.decode()}: {statement.decode()}"]


def prove(sent: bytes) -> bytes:
    """Put into each of the requests, in the place of `PROOF`, lines that prove an administrator to either service.

    They are signed now, and hold for a minute. Bodies are not covered: what is sent may be no request at all.
    """
    before, *rest = sent.split(PROOF)
    proven = before
    for after in rest:
        below = b"" if after.startswith(b"\r\n") else after.partition(b"\r\n\r\n")[0]
        head = proven.rpartition(b"\r\n\r\n")[2] + below
        first, *lines = head.decode("latin-1").strip("\r\n").split("\r\n")
        method, _, target = first.rpartition(" ")[0].partition(" ")
        proven += "".join(f"{line}\r\n" for line in identity_lines(method, target, lines, None)).encode() + after
    return proven
