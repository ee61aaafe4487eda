"""Documents of issuers, fetched from a real server that does not mean well."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from sarvanom.backends.identity.issuer_documents import IssuerDocuments
from sarvanom.shared.errors import ServiceUnavailable
from tests.unit.shared.clients.peers import Conversation, Talk, answering, serve, unused_port

LIMIT = 1_000


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture
async def documents() -> AsyncIterator[IssuerDocuments]:
    made = IssuerDocuments(timeout=5, max_bytes=LIMIT)
    yield made
    await made.aclose()


async def fetch(documents: IssuerDocuments, talk: Talk) -> bytes:
    async with serve(talk) as peer:
        return await documents.fetch(f"{peer.url}/.well-known/openid-configuration")


async def test_document_is_fetched_without_a_coding(documents: IssuerDocuments) -> None:
    async with serve(answering(answer(b'{"keys": []}'))) as peer:
        assert await documents.fetch(f"{peer.url}/a/jwks?x=1") == b'{"keys": []}'
    request = peer.requests[0].lower()
    assert request.startswith(b"get /a/jwks?x=1 http/1.1\r\n")
    assert b"\r\naccept-encoding: identity\r\n" in request


async def test_document_may_be_as_large_as_the_limit(documents: IssuerDocuments) -> None:
    assert await fetch(documents, answering(answer(b"x" * LIMIT))) == b"x" * LIMIT


@pytest.mark.parametrize("headers", ["", "content-type: application/json\r\n"])
async def test_larger_document_is_given_up(documents: IssuerDocuments, headers: str) -> None:
    with pytest.raises(ServiceUnavailable, match="larger"):
        await fetch(documents, answering(answer(b"x" * (LIMIT + 1), headers=headers)))


async def test_document_without_an_end_is_given_up(documents: IssuerDocuments) -> None:
    async def talk(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await conversation.say_chunk(b"x" * 100)

    with pytest.raises(ServiceUnavailable, match="larger"):
        await fetch(documents, talk)


async def test_compressed_document_is_not_unpacked(documents: IssuerDocuments) -> None:
    packed = gzip.compress(b"x" * 10_000_000)[:LIMIT]
    assert await fetch(documents, answering(answer(packed, headers="content-encoding: gzip\r\n"))) == packed


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_redirect_is_not_followed(documents: IssuerDocuments, status: str) -> None:
    async with serve(answering(answer(b"{}"))) as elsewhere:
        with pytest.raises(ServiceUnavailable, match="status 30"):
            await fetch(documents, answering(answer(b"", status, f"location: {elsewhere.url}/\r\n")))
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", ["204 No Content", "404 Not Found", "500 Internal Server Error"])
async def test_other_status_is_no_document(documents: IssuerDocuments, status: str) -> None:
    with pytest.raises(ServiceUnavailable, match="status"):
        await fetch(documents, answering(answer(b"", status)))


@pytest.mark.parametrize("text", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"])
async def test_answer_that_is_no_http_or_breaks_off(documents: IssuerDocuments, text: bytes) -> None:
    async def talk(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(text)

    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        await fetch(documents, talk)


async def test_nobody_there(documents: IssuerDocuments) -> None:
    with pytest.raises(ServiceUnavailable, match="ConnectError"):
        await documents.fetch(f"http://127.0.0.1:{await unused_port()}/")


async def test_url_that_is_none(documents: IssuerDocuments) -> None:
    with pytest.raises(ServiceUnavailable):
        await documents.fetch("http://[")


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
async def test_issuer_that_goes_silent_is_given_up(begins: bytes) -> None:
    documents = IssuerDocuments(timeout=0.05)

    async def talk(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(begins)
        await conversation.wait_closed()

    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        await fetch(documents, talk)
    await documents.aclose()


async def test_issuer_that_drips_is_given_up() -> None:
    """Each byte comes in time; the document as a whole does not."""
    documents = IssuerDocuments(timeout=0.1)

    async def talk(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            await conversation.say(b" ")
            await asyncio.sleep(0.01)

    with pytest.raises(ServiceUnavailable, match="TimeoutError"):
        await fetch(documents, talk)
    await documents.aclose()
