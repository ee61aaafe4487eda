"""What the httpx transport alone does."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import InternalError, ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.tls import follow_server
from tests.harness.certificates import Authority
from tests.unit.shared.clients.peers import OK, answering, serve

GET = Request("GET", b"/users/ada")


async def test_path_of_the_base_url_comes_first() -> None:
    async with serve(answering(OK)) as peer:
        transport = HTTPXTransport(f"{peer.url}/behind/a/proxy/")
        await transport.send(GET)
        await transport.aclose()
    assert peer.requests[0].startswith(b"GET /behind/a/proxy/users/ada HTTP/1.1\r\n")


async def test_given_client_stays_open() -> None:
    async with serve(answering(OK)) as peer, httpx2.AsyncClient(trust_env=False) as client:
        transport = HTTPXTransport(peer.url, client=client)
        assert (await transport.send(GET)).body == b"ok"
        await transport.aclose()
        assert not client.is_closed


async def test_only_what_was_given_is_sent() -> None:
    async with serve(answering(OK)) as peer:
        transport = HTTPXTransport(peer.url)
        await transport.send(GET)
        await transport.aclose()
    assert peer.requests[0].lower().splitlines()[1:] == [
        f"host: 127.0.0.1:{peer.port}".encode(),
        b"accept-encoding: identity",
        b"",
    ]


async def test_proxy_gets_the_whole_url() -> None:
    async with serve(answering(OK)) as proxy, httpx2.AsyncClient(proxy=proxy.url) as client:
        await HTTPXTransport("http://service.invalid:8000", client=client).send(GET)
    assert proxy.requests[0].startswith(b"GET http://service.invalid:8000/users/ada HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx2.ConnectError, ServiceUnavailable),
        (httpx2.ConnectTimeout, ServiceUnavailable),
        (httpx2.PoolTimeout, ServiceUnavailable),
        (httpx2.ProxyError, ServiceUnavailable),
        (httpx2.ReadTimeout, UpstreamTimeout),
        (httpx2.WriteTimeout, UpstreamTimeout),
        (httpx2.ReadError, UpstreamFailed),
        (httpx2.WriteError, UpstreamFailed),
        (httpx2.RemoteProtocolError, UpstreamFailed),
        (httpx2.LocalProtocolError, InternalError),
    ],
)
async def test_errors_of_httpx_become_ours(raised: type[httpx2.TransportError], expected: type[Exception]) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise raised("")

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(fail)) as client:
        with pytest.raises(expected):
            await HTTPXTransport("http://service", client=client).send(GET)


@pytest.mark.xfail(reason="httpcore keeps what it has read past the end of an answer", strict=True)
async def test_second_answer_glued_to_the_first_is_nobodys() -> None:
    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    async with serve(answering(OK + smuggled, OK)) as peer:
        transport = HTTPXTransport(peer.url)
        try:
            assert [(await transport.send(GET)).body for _ in range(2)] == [b"ok", b"ok"]
        finally:
            await transport.aclose()


async def test_authority_of_ones_own_is_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    pair = authority.pair("server")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    tls = follow_server(pair.certificate, pair.key).current
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        stranger = HTTPXTransport(url)
        with pytest.raises(ServiceUnavailable):
            await stranger.send(Request("GET", b"/"))
        await stranger.aclose()
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        knowing = HTTPXTransport(url)
        assert (await knowing.send(Request("GET", b"/"))).status == 204
        await knowing.aclose()
