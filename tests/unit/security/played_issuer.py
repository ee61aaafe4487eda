"""An issuer of tokens with real keys, on a real port, that publishes, rotates, fails and lies as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.unit.security.tokens import NOW, Sign, ed25519, es256, rs256, write
from tests.unit.shared.clients.peers import Conversation, Peer, serve

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/jwks"


@dataclass
class KeyPair:
    """A key of the issuer, as it signs and as it is published."""

    algorithm: str
    sign: Sign
    jwk: dict[str, Any]

    @property
    def key_id(self) -> str:
        found: str = self.jwk["kid"]
        return found


def make_rsa(key_id: str, bits: int = 2_048) -> KeyPair:
    key = rsa.generate_private_key(65_537, bits)
    return KeyPair("RS256", rs256(key), published(RSAKey.import_key(key.public_key()), key_id, "RS256"))


def make_ec(key_id: str) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair("ES256", es256(key), published(ECKey.import_key(key.public_key()), key_id, "ES256"))


def make_ed25519(key_id: str) -> KeyPair:
    key = Ed25519PrivateKey.generate()
    return KeyPair("EdDSA", ed25519(key), published(OKPKey.import_key(key.public_key()), key_id, "EdDSA"))


MAKERS: dict[str, Callable[[str], KeyPair]] = {"RS256": make_rsa, "ES256": make_ec, "EdDSA": make_ed25519}


def published(key: RSAKey | ECKey | OKPKey, key_id: str, algorithm: str) -> dict[str, Any]:
    return {**key.as_dict(), "kid": key_id, "use": "sig", "alg": algorithm}


@dataclass
class PlayedIssuer:
    """What the issuer publishes, and what it was asked; a document may be replaced by a whole answer."""

    peer: Peer
    keys: list[KeyPair] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    is_down: bool = False
    gate: asyncio.Event | None = None
    discovery: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.peer.url}/realms/main"

    def publish(self, *keys: KeyPair) -> None:
        self.keys = list(keys)

    def token(self, key: KeyPair, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token that is right but for what a test changes; `...` leaves a claim out."""
        head = {"alg": key.algorithm, "typ": "JWT", "kid": key.key_id} | (header or {})
        body = {
            "iss": self.url,
            "aud": "sarvanom",
            "sub": "8f2c",
            "azp": "console",
            "iat": int(NOW) - 10,
            "exp": int(NOW) + 290,
            "jti": "token-1",
            "realm_access": {"roles": ["offline_access", "sarvanom-editor"]},
        } | claims
        return write(head, {name: value for name, value in body.items() if value is not ...}, key.sign)

    async def talk(self, conversation: Conversation) -> None:
        request = await conversation.hear()
        path = request.split(b" ")[1].decode().removeprefix("/realms/main")
        self.asked.append(path)
        self.heard.set()
        if self.gate is not None:
            await self.gate.wait()
        if not self.is_down:
            await conversation.say(self.answers.get(path) or answer(json.dumps(self.document(path)).encode()))

    def document(self, path: str) -> object:
        if path == DISCOVERY:
            return {"issuer": self.url, "jwks_uri": self.url + JWKS} | self.discovery
        return {"keys": [key.jwk for key in self.keys]}


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def play_issuer() -> AsyncIterator[PlayedIssuer]:
    async def talk(conversation: Conversation) -> None:
        await issuer.talk(conversation)

    async with serve(talk) as peer:
        issuer = PlayedIssuer(peer)
        yield issuer
