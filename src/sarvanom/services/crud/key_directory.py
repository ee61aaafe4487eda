"""Whose key has a digest: what gateways ask when a key is used."""

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from sarvanom.backends.storage.contract import Store
from sarvanom.security.principals import AUTHENTICATE
from sarvanom.shared.errors import ResourceNotFound, ValidationFailed
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams
from sarvanom.shared.query_strings import build_query
from sarvanom.shared.resources import KEYS
from sarvanom.web.authorization import require
from sarvanom.web.bodies import read_body
from sarvanom.web.middleware.observation import ROUTE

PATH: Final = "/authenticate"
_DIGEST_LENGTH: Final = 64


class KeyDirectory:
    """The keys of a store, by digest."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, digest: str) -> bytes | None:
        """Return the document of the key that has the digest, or had it before it was rotated."""
        for field in ("digest", "previous_digest"):
            query = build_query(KEYS, PaginationParams(limit=1), FilterParams(**{field: digest}))
            page = await self._store.list(KEYS, query)
            if page.bodies:
                return page.bodies[0]
        return None


def register_key_directory(app: FastAPI, directory: KeyDirectory) -> None:
    """Add `POST /authenticate`, which is for gateways alone; its body is a digest."""

    async def authenticate(request: Request) -> Response:
        request.scope[ROUTE] = PATH
        require(request.scope, {AUTHENTICATE})
        digest = await read_body(request.receive)
        if len(digest) != _DIGEST_LENGTH or not digest.isalnum():
            raise ValidationFailed("The body must be a SHA-256 in hexadecimal digits")
        found = await directory.find(digest.decode("ascii"))
        if found is None:
            raise ResourceNotFound("No key has this digest")
        return Response(found, media_type="application/json")

    app.router.add_route(PATH, authenticate, methods=["POST"], include_in_schema=False)
