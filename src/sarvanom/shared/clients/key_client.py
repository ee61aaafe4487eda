"""API keys over HTTP."""

from typing import Final

from pydantic import JsonValue, TypeAdapter

from sarvanom.shared.clients.collection_client import CollectionClient, parse_answer
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.models.crud_models import CRUDResponse, FilterParams, Page, PaginationParams
from sarvanom.shared.models.key_models import ApiKey, IssuedApiKey
from sarvanom.shared.resources import KEYS, check_id

_ISSUED: Final = TypeAdapter(CRUDResponse[IssuedApiKey])


class KeyClient:
    """The keys behind a `ServiceClient`; raises what a collection's client raises, and `Forbidden`."""

    resource = KEYS

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._collection = CollectionClient(service, KEYS)

    async def create(self, name: str, **fields: JsonValue) -> IssuedApiKey:
        """Have a key made; the answer holds its text, which cannot be read again. Other fields are those of `ApiKey`.

        Raises:
            Forbidden: it would be allowed more than the caller.
        """
        answer = await self._service.request("POST", f"/{KEYS.collection}", json={"name": name, **fields})
        return parse_answer(_ISSUED, answer).data

    async def get(self, key_id: str) -> ApiKey:
        """Return a key, without its text."""
        return await self._collection.get(key_id)

    async def list(
        self, pagination: PaginationParams | None = None, filters: FilterParams | None = None
    ) -> Page[ApiKey]:
        """Return a page of the keys."""
        return await self._collection.list(pagination, filters)

    async def patch(self, key_id: str, changes: dict[str, JsonValue]) -> ApiKey:
        """Apply a merge patch to what a key is called and may do."""
        return await self._collection.patch(key_id, changes)

    async def rotate(self, key_id: str, *, overlap_seconds: int = 86_400) -> IssuedApiKey:
        """Have a new text made for a key; the one before stays valid for the overlap."""
        target = f"{KEYS.path(check_id(KEYS, key_id))}/rotate"
        answer = await self._service.request("POST", target, json={"overlap_seconds": overlap_seconds})
        return parse_answer(_ISSUED, answer).data

    async def revoke(self, key_id: str) -> None:
        """Delete a key; every gateway refuses it within a lease."""
        await self._collection.delete(key_id)
