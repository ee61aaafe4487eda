"""Exports and restores over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.contracts.archive_contract import RESTORE_SECONDS, ArchiveContract
from sarvanom.shared.errors import UpstreamFailed
from sarvanom.shared.models.bulk_models import RestoreSummary
from sarvanom.shared.models.crud_models import CRUDResponse, FilterParams, PaginationParams
from sarvanom.shared.queries import encode_query
from sarvanom.shared.resources import Resource

_LINES: Final = "application/x-ndjson"
_RESTORED: Final = TypeAdapter(CRUDResponse[RestoreSummary])


class ArchiveClient(ArchiveContract):
    """The archive behind a `ServiceClient`."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service

    async def export(self) -> AsyncGenerator[bytes]:
        """GET everything."""
        async for chunk in self._get("/export"):
            yield chunk

    async def export_collection(
        self, resource: Resource[Any], filters: FilterParams | None = None, *, sort: str | None = None
    ) -> AsyncGenerator[bytes]:
        """GET the collection as lines."""
        query = encode_query(PaginationParams(sort=sort), filters)
        async for chunk in self._get(f"/{resource.collection}" + (f"?{query}" if query else "")):
            yield chunk

    async def restore(self, chunks: AsyncIterable[bytes]) -> RestoreSummary:
        """POST the export, as it comes."""
        body = bytearray()
        headers = {"content-type": _LINES}
        async with self._service.stream(
            "POST", "/import", body=chunks, headers=headers, patience=RESTORE_SECONDS
        ) as response:
            async for chunk in response.chunks:
                body += chunk
        try:
            return _RESTORED.validate_json(bytes(body), extra="ignore").data
        except ValidationError:
            raise UpstreamFailed("The service's answer is none of this API's") from None

    async def _get(self, target: str) -> AsyncGenerator[bytes]:
        headers: Mapping[str, str] = {"accept": _LINES}
        async with self._service.stream("GET", target, headers=headers) as response:
            async for chunk in response.chunks:
                yield chunk
