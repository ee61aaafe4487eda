"""The revision log of a store in process."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from sarvanom.backends.storage.log import Change as Entry
from sarvanom.services.crud.history import History
from sarvanom.services.crud.rendering import render_change, seen_by
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.shared.change_queries import build_changes
from sarvanom.shared.changes import check_revision
from sarvanom.shared.contracts.log_contract import RevisionLogContract
from sarvanom.shared.models.log_models import Change, ChangeList

_WAIT_SECONDS = 60.0


class StoredLog(RevisionLogContract):
    """`RevisionLogContract` over a store."""

    def __init__(self, store: SealedStore) -> None:
        self._log = store.log
        self._history = History(store)

    async def changes(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
        limit: int = 100,
    ) -> ChangeList:
        query = build_changes(since=since, resource=resource, id=id, service=service, limit=limit)
        page = await self._log.page(query)
        return ChangeList(
            items=[_model(seen_by(change, query.services)) for change in page.changes],
            next_since=page.until,
            revision=page.bounds.head,
            oldest_revision=page.bounds.floor,
        )

    async def watch(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
    ) -> AsyncGenerator[Change]:
        query = build_changes(since=since, resource=resource, id=id, service=service, limit=1000)
        position = (await self._log.bounds()).head if since is None else since
        while True:
            page = await self._log.page(replace(query, since=position))
            for change in page.changes:
                yield _model(seen_by(change, query.services))
            position = page.until
            if position >= page.bounds.head:
                await self._log.wait(position, _WAIT_SECONDS)

    async def revert(self, revision: int) -> Change:
        change, _ = await self._history.revert(check_revision(revision))
        return _model(change)


def _model(change: Entry) -> Change:
    return Change.model_validate_json(render_change(change))
