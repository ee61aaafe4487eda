"""One collection over HTTP."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from pydantic import JsonValue, TypeAdapter, ValidationError

from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.transport import Response
from sarvanom.shared.contracts.service_contracts import CollectionContract
from sarvanom.shared.errors import UpstreamFailed
from sarvanom.shared.models.bulk_models import ImportResult, OnConflict
from sarvanom.shared.models.crud_models import (
    CRUDResponse,
    FilterParams,
    ListResponse,
    Page,
    PaginationParams,
    ResourceModel,
)
from sarvanom.shared.queries import encode_query
from sarvanom.shared.resources import Resource, check_id
from sarvanom.shared.validation import encode_patch

_JSON_BODY: Final = {"content-type": "application/json"}
_LINES: Final = {"content-type": "application/x-ndjson", "accept": "application/x-ndjson"}
_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 4 * 2**20
_PATCH_BODY: Final = {"content-type": "application/merge-patch+json"}


class CollectionClient[M: ResourceModel](CollectionContract[M]):
    """A collection behind a `ServiceClient`; raises `UpstreamFailed` for an answer that is none of the API's."""

    def __init__(self, service: ServiceClient, resource: Resource[M]) -> None:
        self.resource = resource
        self._service = service
        self._item: TypeAdapter[CRUDResponse[M]] = TypeAdapter(CRUDResponse[resource.model])  # type: ignore[name-defined]
        self._items: TypeAdapter[ListResponse[M]] = TypeAdapter(ListResponse[resource.model])  # type: ignore[name-defined]

    async def create(self, item: M) -> M:
        """POST it to the collection."""
        target = f"/{self.resource.collection}"
        return self._read(await self._service.request("POST", target, body=item.to_request(), headers=_JSON_BODY))

    async def get(self, id: str, *, at_revision: int | None = None, reveal: bool = False) -> M:
        """GET it."""
        given = {"at_revision": at_revision, "reveal": "true" if reveal else None}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        return self._read(await self._service.request("GET", self._path(id) + (f"?{query}" if query else "")))

    async def replace(self, item: M, *, if_match: int | None = None, create: bool = False) -> M:
        """PUT it, on the condition that was asked for."""
        headers = {**_JSON_BODY, **_condition(if_match)}
        if create:
            headers["if-none-match"] = "*"
        target = self._path(self.resource.id_of(item))
        return self._read(await self._service.request("PUT", target, body=item.to_request(), headers=headers))

    async def patch(self, id: str, changes: Mapping[str, JsonValue], *, if_match: int | None = None) -> M:
        """PATCH it."""
        body = encode_patch(changes)
        headers = {**_PATCH_BODY, **_condition(if_match)}
        return self._read(await self._service.request("PATCH", self._path(id), body=body, headers=headers))

    async def delete(self, id: str, *, if_match: int | None = None) -> None:
        """DELETE it."""
        await self._service.request("DELETE", self._path(id), headers=_condition(if_match))

    async def list(self, pagination: PaginationParams | None = None, filters: FilterParams | None = None) -> Page[M]:
        """GET a page of the collection."""
        query = encode_query(pagination, filters)
        target = f"/{self.resource.collection}" + (f"?{query}" if query else "")
        answer = parse_answer(self._items, await self._service.request("GET", target))
        page = answer.metadata
        return Page[M].model_construct(
            items=answer.data.items, limit=page.limit, next_cursor=page.next_cursor, total=page.total
        )

    async def import_lines(
        self, lines: Iterable[bytes], *, on_conflict: OnConflict = OnConflict.ERROR
    ) -> AsyncGenerator[ImportResult]:
        """POST the lines, a bounded number of them at a time, so that each request can be sent again."""
        target = f"/{self.resource.collection}?on_conflict={on_conflict}"
        done = 0
        for batch in _batches(lines):
            answer = await self._service.request("POST", target, body=b"\n".join(batch), headers=_LINES)
            for result in parse_results(answer):
                yield result.model_copy(update={"line": result.line + done}) if done else result
            done += len(batch)

    def _path(self, id: str) -> str:
        """Return the item's path; an id that breaks the grammar could be read as another path, so it is never sent."""
        return self.resource.path(check_id(self.resource, id))

    def _read(self, response: Response) -> M:
        return parse_answer(self._item, response).data


def parse_answer[T](envelope: TypeAdapter[T], response: Response) -> T:
    """Return the answer as the envelope it should be; raises `UpstreamFailed` if it is none.

    Fields that a newer service has are passed over.
    """
    try:
        return envelope.validate_json(response.body, extra="ignore")
    except ValidationError:
        raise UpstreamFailed("The service's answer is none of this API's") from None


def parse_results(response: Response) -> Iterator[ImportResult]:
    """Yield the results of lines; raises `UpstreamFailed` for an answer that is none of the API's."""
    for text in response.body.splitlines():
        try:
            yield ImportResult.model_validate_json(text, extra="ignore")
        except ValidationError:
            raise UpstreamFailed("The service's answer is none of this API's") from None


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        text = line.rstrip(b"\r\n")
        batch.append(text)
        size += len(text)
        if len(batch) == _BATCH_LINES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _condition(if_match: int | None) -> dict[str, str]:
    return {} if if_match is None else {"if-match": f'"{if_match}"'}
