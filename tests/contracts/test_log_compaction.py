"""What retention has let go is refused; the state at the floor, and all after it, stays."""

from typing import Any

import pytest
import pytest_asyncio

from sarvanom.backends.storage.contract import Store
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, RevisionCompacted
from sarvanom.shared.resources import USERS
from tests.contracts.samples import MODEL, USER
from tests.contracts.test_log_properties import replay

pytestmark = pytest.mark.asyncio(loop_scope="session")


def store_of(service: CRUDServiceContract) -> Store:
    """Return the store under a service in this process."""
    assert isinstance(service, StoredCRUDService)
    return service.collection(USERS).store


@pytest_asyncio.fixture(loop_scope="session")
async def compacted(lone_store: CRUDServiceContract) -> CRUDServiceContract:
    """A store at revision 8 that holds the changes after 5."""
    users, models = lone_store.users, lone_store.models
    await users.create(USER.build("kept"))  # 1
    await models.create(MODEL.build("gone"))  # 2
    await models.patch("gone", {"priority": 1})  # 3
    await models.delete("gone")  # 4
    await users.patch("kept", {"service": "x"})  # 5
    await users.patch("kept", {"service": "y"})  # 6
    await models.create(MODEL.build("late"))  # 7
    await models.delete("late")  # 8
    assert await store_of(lone_store).log.compact(keep=3) == 5
    return lone_store


def oldest(error: Any) -> str:
    """Return the revision that a refusal names."""
    told: str = error.value.headers["SarvanOM-Oldest-Revision"]
    return told


async def test_changes_begin_after_the_floor(compacted: CRUDServiceContract) -> None:
    page = await compacted.log.changes()
    assert [one.revision for one in page.items] == [6, 7, 8]
    assert (page.oldest_revision, page.revision) == (5, 8)
    assert await compacted.log.changes(5) == page
    for since in (0, 4):
        with pytest.raises(RevisionCompacted) as caught:
            await compacted.log.changes(since)
        assert oldest(caught) == "5"
        with pytest.raises(RevisionCompacted):
            await anext(compacted.log.watch(since))


async def test_history_of_one_begins_after_the_floor_too(compacted: CRUDServiceContract) -> None:
    page = await compacted.log.changes(resource="users", id="kept")
    assert [one.revision for one in page.items] == [6]
    assert (await compacted.log.changes(resource="models", id="gone")).items == []


async def test_states_from_the_floor_on_can_be_read(compacted: CRUDServiceContract) -> None:
    for revision, service in ((5, "x"), (6, "y"), (8, "y")):
        assert (await compacted.users.get("kept", at_revision=revision)).service == service
    with pytest.raises(ResourceNotFound):
        await compacted.models.get("gone", at_revision=5)
    assert (await compacted.models.get("late", at_revision=7)).model_name == "late"
    with pytest.raises(RevisionCompacted) as caught:
        await compacted.users.get("kept", at_revision=4)
    assert oldest(caught) == "5"


async def test_what_is_held_can_be_undone(compacted: CRUDServiceContract) -> None:
    """The state before the change after the floor is the state at the floor."""
    for revision in (1, 5):
        with pytest.raises(RevisionCompacted) as caught:
            await compacted.log.revert(revision)
        assert oldest(caught) == "5"
    assert (await compacted.log.revert(6)).revision == 9
    assert (await compacted.users.get("kept")).service == "x"
    assert (await compacted.log.revert(8)).operation == "create"


async def test_pages_after_it_fit_each_other(compacted: CRUDServiceContract) -> None:
    changes = (await compacted.log.changes(6)).items
    assert replay(changes) == {}
