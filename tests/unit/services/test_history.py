"""Undoing, when what comes after the write goes wrong."""

from pathlib import Path

import pytest

from sarvanom.backends.storage.contract import IdempotencyKey, Origin
from sarvanom.backends.storage.log import Change
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.history import History
from sarvanom.shared.errors import IdempotencyKeyReused, ServiceUnavailable, UpstreamFailed
from sarvanom.shared.models.crud_models import ModelConfiguration
from tests.harness.secrets import sealed


async def test_revert_whose_entry_cannot_be_read_is_never_called_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the log fails after the write; 503 would say that it was not carried out."""
    store = sealed(SQLiteStore(tmp_path / "s.db"))
    async with StoredCRUDService(store) as service:
        await service.models.create(ModelConfiguration(model_name="m", provider="p"))
        read = store.inner.log.change

        async def fail_after_the_write(revision: int) -> Change | None:
            if revision > 1:
                raise ServiceUnavailable("The database is away")
            return await read(revision)

        monkeypatch.setattr(store.inner.log, "change", fail_after_the_write)
        with pytest.raises(UpstreamFailed, match="Revision 2 undid it"):
            await History(store).revert(1)


async def test_revert_is_carried_out_once_under_a_key(tmp_path: Path) -> None:
    store = sealed(SQLiteStore(tmp_path / "s.db"))
    async with StoredCRUDService(store) as service:
        await service.models.create(ModelConfiguration(model_name="m", provider="p"))
        await service.models.create(ModelConfiguration(model_name="n", provider="p"))
        origin = Origin("r-1", None, IdempotencyKey("k", b"f"))
        history = History(store)
        first = await history.revert(1, origin)
        await service.models.create(ModelConfiguration(model_name="m", provider="later"))
        assert await history.revert(1, origin) == (first[0], True)
        assert first[1] is False
        with pytest.raises(IdempotencyKeyReused):
            await history.revert(2, Origin("r-1", None, IdempotencyKey("k", b"g")))
