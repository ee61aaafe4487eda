"""TLS from PEM files, for both ends of a connection, in contexts that follow their files."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

# With TLS 1.2; what 1.3 has is good as it is. Forward secrecy and authenticated encryption, nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the first certificate in the file",
    "KEY_TYPE_MISMATCH": "the key is of another kind than the first certificate in the file",
    "NO_CERTIFICATE_ASSIGNED": "the key is of another kind than the first certificate in the file",
}


class FollowedContext:
    """A context that is built anew when its files change; while that cannot be done, the last good one is in use."""

    def __init__(self, build: Callable[[], ssl.SSLContext], files: Sequence[Path]) -> None:
        """Build it; raises `ValueError` if the files cannot be used."""
        self._build = build
        self._files = tuple(files)
        self._state = self._look()
        self.current = build()

    def refresh(self, *, always: bool = False) -> bool:
        """Build the context anew if its files have changed, or in any case, and tell whether it was.

        Raises:
            ValueError: the files cannot be used; it is raised once for each of their states.
        """
        state = self._look()
        if state == self._state and not always:
            return False
        self._state = state
        self.current = self._build()
        return True

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_state_of(file) for file in self._files)


def follow_server(certificate: Path, key: Path, client_ca: Path | None = None) -> FollowedContext:
    """Return the context of a server; with `client_ca`, one that takes only clients with a certificate of it.

    Raises:
        ValueError: a file cannot be used.
    """
    files = [file for file in (certificate, key, client_ca) if file is not None]
    return FollowedContext(lambda: _server_context(certificate, key, client_ca), files)


def follow_client(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> FollowedContext:
    """Return the context of a client that trusts `ca`, or else what the system does, and has a certificate or none.

    Raises:
        ValueError: a file cannot be used.
    """
    files = [file for file in (ca, certificate, key) if file is not None]
    return FollowedContext(lambda: _client_context(ca, certificate, key), files)


def entrance(followed: FollowedContext) -> ssl.SSLContext:
    """Return a context for a server to listen with, each of whose handshakes goes on with the current one."""
    listening = followed.current

    def switch(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = followed.current

    listening.sni_callback = switch
    return listening


def _server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_certificate(context, certificate, key)
    if client_ca is not None:
        # Without resumption every connection shows its certificate, which may have been taken out of trust meanwhile.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _load_authority(context, client_ca)
    return context


def _client_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _load_authority(context, ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    if certificate is not None and key is not None:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise ValueError(f"The certificate {certificate} with the key {key} cannot be used: {_reason(error)}") from None


def _load_authority(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ValueError(f"The certificates of {ca} cannot be used: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Return OpenSSL's name of what is wrong, with words where the name alone misleads."""
    found = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)
    return f"{found}: {_WORDS[found]}" if found in _WORDS else found


def _state_of(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
