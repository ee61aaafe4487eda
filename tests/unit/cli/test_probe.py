"""Asking a service whether it is ready, until it is."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sarvanom.cli import probe
from sarvanom.cli.probe import wait_until_ready
from sarvanom.shared.tls import follow_server
from tests.harness.certificates import Authority


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SECONDS_BETWEEN_TRIES", 0)


@asynccontextmanager
async def serving(
    answers: Sequence[bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives one answer to each connection; the last one again and again."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answers[min(len(asked), len(answers)) - 1])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("status_line", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 Fine\r\nx: y\r\n\r\n{}"])
async def test_service_that_answers_200_is_ready(status_line: bytes) -> None:
    async with serving([status_line]) as (url, asked):
        await wait_until_ready(url)
    host = url.removeprefix("http://").encode()
    assert asked == [b"GET /ready HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"]


async def test_service_is_asked_until_it_is_ready() -> None:
    early = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"nonsense\r\n"]
    async with serving([*early, b"HTTP/1.1 200 OK\r\n\r\n"]) as (url, asked):
        await wait_until_ready(url)
    assert len(asked) == 4


async def test_service_that_refuses_the_name_it_is_asked_by_is_up_all_the_same() -> None:
    async with serving([b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as (url, asked):
        await wait_until_ready(url)
    assert len(asked) == 1


async def test_service_that_does_not_listen_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, refusals = asyncio.open_connection, [ConnectionRefusedError(), TimeoutError()]

    async def open_connection(host: str, port: int, ssl: None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if refusals:
            raise refusals.pop()
        return await connect(host, port)

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    async with serving([b"HTTP/1.1 200 OK\r\n\r\n"]) as (url, asked):
        await wait_until_ready(url)
    assert (len(asked), refusals) == (1, [])


async def test_connection_that_breaks_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    readline, breaks = asyncio.StreamReader.readline, [ConnectionResetError()]

    async def break_once(reader: asyncio.StreamReader) -> bytes:
        if breaks:
            raise breaks.pop()
        return await readline(reader)

    monkeypatch.setattr(asyncio.StreamReader, "readline", break_once)
    async with serving([b"HTTP/1.1 200 OK\r\n\r\n"]) as (url, asked):
        await wait_until_ready(url)
    assert len(asked) == 2


async def test_service_over_tls_is_asked_whatever_its_certificate(tmp_path: Path) -> None:
    pair = Authority(tmp_path).pair("server", "elsewhere.example")
    early = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n"]
    tls = follow_server(pair.certificate, pair.key).current
    async with serving([*early, b"HTTP/1.1 200 OK\r\n\r\n"], tls) as (url, asked):
        await wait_until_ready(url)
    assert len(asked) == 2


async def test_service_that_asks_for_a_certificate_is_there(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.pair("server")
    async with serving([], follow_server(pair.certificate, pair.key, authority.file).current) as (url, asked):
        await wait_until_ready(url)
    assert asked == []


async def test_service_whose_handshake_fails_is_asked_again(tmp_path: Path) -> None:
    async with serving([b"no TLS\r\n"]) as (url, _asked):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await wait_until_ready(url.replace("http:", "https:"))
