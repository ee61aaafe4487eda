"""Whatever is written: the log replays to every state, for every service, and undoing restores the state before."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, RevertConflict, SarvanOMError
from sarvanom.shared.models.log_models import Change
from tests.contracts.samples import DATASET, MODEL, Sample, new_id, own_fields
from tests.contracts.test_log import head_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVICES: Final = ("a", "b")
few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Step:
    """One write: of which resource, which of a few ids, for which service, and what it does."""

    act: str
    sample: Sample
    number: int
    service: str

    async def take(self, service: CRUDServiceContract, prefix: str) -> None:
        """Carry it out; what is refused changes nothing."""
        collection = self.sample.collection(service)
        id, owner = f"{prefix}/{self.number}", f"{prefix}-{self.service}"
        try:
            match self.act:
                case "create":
                    await collection.create(self.sample.build(id, service=owner))
                case "replace":
                    await collection.replace(self.sample.build(id, service=owner))
                case "patch":
                    await collection.patch(id, {"service": owner})
                case "delete":
                    await collection.delete(id)
                case _:
                    changes = await service.log.changes(resource=self.sample.resource.collection, id=id)
                    await service.log.revert(changes.items[-1].revision if changes.items else 1)
        except (SarvanOMError, IndexError):
            pass


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["create", "create", "replace", "patch", "delete", "revert"]),
        st.sampled_from([MODEL, DATASET]),
        st.integers(0, 1),
        st.sampled_from(SERVICES),
    ),
    min_size=1,
    max_size=14,
)


async def changes_since(crud: CRUDServiceContract, since: int, service: str | None = None) -> list[Change]:
    """Return all changes after a revision, in small pages."""
    seen = list[Change]()
    while True:
        page = await crud.log.changes(since, service=service, limit=3)
        seen += page.items
        since = page.next_since
        if since == page.revision:
            return seen


def replay(changes: Sequence[Change]) -> dict[tuple[str, str], Any]:
    """Return the state after changes; each must fit the state that it meets."""
    state: dict[tuple[str, str], Any] = {}
    for change in changes:
        key = (change.resource, change.id)
        before = state.pop(key, None)
        assert (before is None) == (change.operation == "create")
        assert change.previous_revision == (None if before is None else before["revision"])
        assert (change.after is None) == (change.operation == "delete")
        if change.after is not None:
            state[key] = change.after
    return state


async def stored(
    service: CRUDServiceContract, prefix: str, *, at_revision: int | None = None
) -> dict[tuple[str, str], Any]:
    """Return what can be read."""
    found: dict[tuple[str, str], Any] = {}
    for sample in (MODEL, DATASET):
        for number in (0, 1):
            id = f"{prefix}/{number}"
            try:
                item = await sample.collection(service).get(id, at_revision=at_revision)
            except ResourceNotFound:
                continue
            found[sample.resource.collection, id] = item.model_dump(mode="json")
    return found


def dumped(state: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """Return a replayed state as models write it."""
    models = {sample.resource.collection: sample.resource.model for sample in (MODEL, DATASET)}
    return {
        key: models[key[0]].model_validate(after, strict=False).model_dump(mode="json") for key, after in state.items()
    }


@few
@given(steps=steps)
async def test_log_replays_to_every_state(service: CRUDServiceContract, steps: list[Step]) -> None:
    prefix, since = new_id(), await head_of(service)
    for step in steps:
        await step.take(service, prefix)
    changes = [one for one in await changes_since(service, since) if one.id.startswith(prefix)]
    for revision in range(since, await head_of(service) + 1):
        past = replay([one for one in changes if one.revision <= revision])
        assert await stored(service, prefix, at_revision=revision) == dumped(past)
    assert await stored(service, prefix) == dumped(replay(changes))


@few
@given(steps=steps)
async def test_filtered_log_replays_to_what_the_service_owns(service: CRUDServiceContract, steps: list[Step]) -> None:
    prefix, since = new_id(), await head_of(service)
    for step in steps:
        await step.take(service, prefix)
    everything = await stored(service, prefix)
    for name in SERVICES:
        owner = f"{prefix}-{name}"
        view = await changes_since(service, since, service=owner)
        assert {one.service for one in view} <= {owner}
        own = {key: item for key, item in everything.items() if item["service"] == owner}
        assert dumped(replay(view)) == own


@few
@given(steps=steps, last=st.integers(0, 2**32))
async def test_undoing_restores_the_state_before(service: CRUDServiceContract, steps: list[Step], last: int) -> None:
    prefix, since = new_id(), await head_of(service)
    for step in steps:
        await step.take(service, prefix)
    changes = [one for one in await changes_since(service, since) if one.id.startswith(prefix)]
    if not changes:
        return
    change = changes[last % len(changes)]
    if change.revision != max(
        one.revision for one in changes if (one.resource, one.id) == (change.resource, change.id)
    ):
        with pytest.raises(RevertConflict):
            await service.log.revert(change.revision)
        return
    undone = await service.log.revert(change.revision)
    sample = MODEL if change.resource == "models" else DATASET
    collection = sample.collection(service)
    try:
        before = await collection.get(change.id, at_revision=change.revision - 1)
    except ResourceNotFound:
        assert undone.operation == "delete"
        with pytest.raises(ResourceNotFound):
            await collection.get(change.id)
        return
    now = await collection.get(change.id)
    assert own_fields(now) == own_fields(before)
    assert (now.created_at, now.revision) == (before.created_at, undone.revision)


@few
@given(steps=steps)
async def test_watcher_sees_what_the_pages_hold(service: CRUDServiceContract, steps: list[Step]) -> None:
    prefix, since = new_id(), await head_of(service)
    mine = f"{prefix}-a"
    seen = list[Change]()

    async def watch() -> None:
        async for change in service.log.watch(since, service=mine):
            seen.append(change)

    watcher = asyncio.create_task(watch())
    try:
        for step in steps:
            await step.take(service, prefix)
        expected = await changes_since(service, since, service=mine)
        async with asyncio.timeout(10):
            while len(seen) < len(expected):  # noqa: ASYNC110 (there is nothing to wait for but the list)
                await asyncio.sleep(0.01)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    assert seen == expected
