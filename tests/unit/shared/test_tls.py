"""Contexts of TLS that follow their files."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sarvanom.shared.tls import FollowedContext, entrance, follow_client, follow_server
from tests.harness.certificates import Authority, Pair, write


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair("server")


@asynccontextmanager
async def listening(followed: FollowedContext) -> AsyncIterator[int]:
    """A server that says hello, and the port that it listens on."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=entrance(followed), ssl_shutdown_timeout=0.5)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def serial_of(port: int, client: ssl.SSLContext, name: str = "127.0.0.1") -> str:
    """Return the serial number of the certificate that the server shows, after it has said hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
    try:
        if await reader.read() != b"hello":
            raise ConnectionError("turned away")
        return str(writer.get_extra_info("peercert")["serialNumber"])
    finally:
        writer.transport.abort()


async def test_new_certificate_is_shown_to_new_connections(authority: Authority, pair: Pair) -> None:
    server, client = follow_server(pair.certificate, pair.key), follow_client(authority.file).current
    async with listening(server) as port:
        first = await serial_of(port, client)
        assert not server.refresh()
        assert await serial_of(port, client) == first
        pair.replace(authority.sign())
        assert await serial_of(port, client) == first
        assert server.refresh()
        assert await serial_of(port, client) != first


@pytest.mark.parametrize("broken", [b"", b"no certificate", None])
async def test_broken_certificate_leaves_the_one_before(authority: Authority, pair: Pair, broken: bytes | None) -> None:
    server, client = follow_server(pair.certificate, pair.key), follow_client(authority.file).current
    async with listening(server) as port:
        first = await serial_of(port, client)
        write(pair.certificate, broken) if broken is not None else pair.certificate.unlink()
        with pytest.raises(ValueError, match=rf"certificate {pair.certificate} with the key {pair.key} cannot be used"):
            server.refresh()
        assert not server.refresh(), "it is said once"
        assert await serial_of(port, client) == first
        with pytest.raises(ValueError, match="cannot be used"):
            server.refresh(always=True)
        pair.replace(authority.sign())
        assert server.refresh()
        assert await serial_of(port, client) != first


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_key_of_another_kind_is_told_in_words(pair: Pair, kind: str) -> None:
    key = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else Ed25519PrivateKey.generate()
    write(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ValueError, match="the key is of another kind than the first certificate"):
        follow_server(pair.certificate, pair.key)


async def test_certificate_without_its_key_waits_for_it(authority: Authority, pair: Pair) -> None:
    """Tools write one file after the other; between the two nothing fits."""
    server, client = follow_server(pair.certificate, pair.key), follow_client(authority.file).current
    async with listening(server) as port:
        first = await serial_of(port, client)
        leaf = authority.sign()
        write(pair.certificate, leaf.cert_chain_pems[0].bytes())
        with pytest.raises(ValueError, match="cannot be used: KEY_VALUES_MISMATCH"):
            server.refresh()
        assert await serial_of(port, client) == first
        write(pair.key, leaf.private_key_pem.bytes())
        assert server.refresh()
        assert await serial_of(port, client) != first


async def test_client_without_a_certificate_of_the_authority_is_turned_away(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    server = follow_server(pair.certificate, pair.key, authority.file)
    stranger = Authority(tmp_path, "other").pair("stranger", "gateway")
    known = authority.pair("known", "gateway")
    async with listening(server) as port:
        client = follow_client(authority.file, known.certificate, known.key).current
        assert await serial_of(port, client)
        for files in ((), (stranger.certificate, stranger.key)):
            with pytest.raises(OSError):
                await serial_of(port, follow_client(authority.file, *files).current)


async def test_authority_that_is_replaced_lets_nobody_of_the_old_one_in(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority.file.read_bytes())
    known = authority.pair("known", "gateway")
    server = follow_server(pair.certificate, pair.key, trusted)
    client = follow_client(authority.file, known.certificate, known.key).current
    async with listening(server) as port:
        assert await serial_of(port, client)
        other = Authority(tmp_path, "other")
        write(trusted, other.file.read_bytes())
        assert server.refresh()
        with pytest.raises(OSError):
            await serial_of(port, client)
        newcomer = other.pair("newcomer", "gateway")
        assert await serial_of(port, follow_client(authority.file, newcomer.certificate, newcomer.key).current)


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.2"])
async def test_client_asks_for_the_name(authority: Authority, pair: Pair, name: str) -> None:
    async with listening(follow_server(pair.certificate, pair.key)) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            await serial_of(port, follow_client(authority.file).current, name)


async def test_client_trusts_what_it_is_told_to_or_else_the_system(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    async with listening(follow_server(pair.certificate, pair.key)) as port:
        for client in (follow_client(other.file), follow_client(None)):
            with pytest.raises(ssl.SSLCertVerificationError):
                await serial_of(port, client.current)


async def test_old_protocols_and_ciphers_are_refused(authority: Authority, pair: Pair) -> None:
    async with listening(follow_server(pair.certificate, pair.key)) as port:
        client = follow_client(authority.file).current
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await serial_of(port, client)
        client.set_ciphers("AES256-SHA256:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256")
        with pytest.raises(OSError):
            await serial_of(port, client)


def test_versions_are_bounded_from_below(authority: Authority, pair: Pair) -> None:
    plain, mutual = follow_server(pair.certificate, pair.key), follow_server(*_files(pair), authority.file)
    assert plain.current.minimum_version == ssl.TLSVersion.TLSv1_2
    assert mutual.current.minimum_version == ssl.TLSVersion.TLSv1_3
    assert (mutual.current.verify_mode, mutual.current.num_tickets) == (ssl.CERT_REQUIRED, 0)
    assert follow_client(None).current.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_cannot_be_used_are_named(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ValueError, match=rf"{missing} with the key .* No such file"):
        follow_server(missing, pair.key)
    with pytest.raises(ValueError, match=rf"certificates of {missing} cannot be used: No such file"):
        follow_client(missing)
    with pytest.raises(ValueError, match=rf"certificates of {pair.key} cannot be used: NO_CERTIFICATE"):
        follow_server(pair.certificate, pair.key, pair.key)


def test_key_with_a_password_asks_nobody(authority: Authority, pair: Pair) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    with pytest.raises(ValueError, match="cannot be used"):
        follow_server(pair.certificate, pair.key)


def _files(pair: Pair) -> tuple[Path, Path]:
    return pair.certificate, pair.key
