"""Reads the documents that issuers of tokens publish, over HTTP."""

import asyncio
from typing import Final

import httpx2

from sarvanom.shared.errors import ServiceUnavailable

_MAX_BYTES: Final = 256 * 1024


class IssuerDocuments:
    """Fetches small documents; follows no redirect, so that only who was asked answers.

    Proxies and certificates are taken from the environment. `timeout` bounds a document as a whole.
    """

    def __init__(self, *, timeout: float = 5.0, max_bytes: int = _MAX_BYTES) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=16, max_keepalive_connections=0),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def fetch(self, url: str) -> bytes:
        """Return the document; raises `ServiceUnavailable` if it cannot be had, in time or at all."""
        try:
            async with asyncio.timeout(self._timeout), self._client.stream("GET", url) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise ServiceUnavailable(f"The issuer answers with status {answer.status_code}")
                document = bytearray()
                async for part in answer.aiter_raw():
                    document += part
                    if len(document) > self._max_bytes:
                        raise ServiceUnavailable("The issuer's document is larger than may be")
                return bytes(document)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ServiceUnavailable(f"The issuer cannot be reached ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
