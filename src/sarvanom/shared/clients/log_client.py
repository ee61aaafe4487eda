"""The revision log over HTTP."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from sarvanom.shared.change_queries import build_changes
from sarvanom.shared.changes import check_revision
from sarvanom.shared.clients.collection_client import parse_answer
from sarvanom.shared.clients.events import ServerSentEvent, read_events
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.retries import Backoff
from sarvanom.shared.contracts.log_contract import RevisionLogContract
from sarvanom.shared.errors import ServiceUnavailable, UpstreamFailed, UpstreamTimeout
from sarvanom.shared.models.crud_models import CRUDResponse
from sarvanom.shared.models.log_models import Change, ChangeList, ChangeListResponse

_CHANGES: Final = TypeAdapter(ChangeListResponse)
_CHANGE: Final = TypeAdapter(CRUDResponse[Change])


class RevisionLogClient(RevisionLogContract):
    """`RevisionLogContract` behind a `ServiceClient`."""

    def __init__(self, service: ServiceClient, backoff: Backoff | None = None) -> None:
        self._service = service
        self._backoff = backoff or Backoff()

    async def changes(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
        limit: int = 100,
    ) -> ChangeList:
        """GET a page."""
        build_changes(since=since, resource=resource, id=id, service=service, limit=limit)
        target = _target(since=since, resource=resource, id=id, service=service, limit=limit)
        answer = parse_answer(_CHANGES, await self._service.request("GET", target))
        page = answer.metadata
        return ChangeList(
            items=answer.data.items,
            next_since=page.next_since,
            revision=page.revision,
            oldest_revision=page.oldest_revision,
        )

    async def watch(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
    ) -> AsyncGenerator[Change]:
        """GET the stream, and again from the last event whenever it breaks off."""
        build_changes(since=since, resource=resource, id=id, service=service)
        target = _target(since=since, resource=resource, id=id, service=service)
        last, retry = "", 0
        while True:
            async with aclosing(self._events(target, last)) as events:
                async for event in events:
                    last, retry = event.id or last, 0
                    if event.data is not None:
                        yield _parse(event.data)
            await asyncio.sleep(self._backoff.bound(retry) * random.random())  # noqa: S311 (jitter)
            retry += 1

    async def _events(self, target: str, last: str) -> AsyncGenerator[ServerSentEvent]:
        """Yield what comes until the stream ends or breaks off: what was seen is seen, the rest comes after it."""
        headers = {"accept": "text/event-stream", "last-event-id": last}
        with suppress(ServiceUnavailable, UpstreamFailed, UpstreamTimeout):
            async with (
                self._service.stream("GET", target, headers=headers) as answer,
                aclosing(read_events(answer.chunks)) as events,
            ):
                async for event in events:
                    yield event

    async def revert(self, revision: int) -> Change:
        """POST to the revision."""
        target = f"/revisions/{check_revision(revision)}/revert"
        return parse_answer(_CHANGE, await self._service.request("POST", target)).data


def _target(**given: object) -> str:
    values = {name: value for name, value in given.items() if value is not None}
    return f"/changes?{urlencode(values)}" if values else "/changes"


def _parse(data: bytes) -> Change:
    try:
        return Change.model_validate_json(data)
    except ValidationError:
        raise UpstreamFailed("The service sends an event that is none of this API's") from None
