"""The first key: there after the start, made once, and never one that was revoked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sarvanom.backends.storage.contract import Store, Write
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.api_keys import digest_of, is_well_formed
from sarvanom.services.crud.administrator import ADMINISTRATOR, Administrator
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.models.key_models import ApiKey, Role
from sarvanom.shared.resources import KEYS
from tests.harness.identity import ADMIN_KEY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = SQLiteStore(tmp_path / "s.db")
    yield opened
    await opened.aclose()


async def stored(store: Store) -> ApiKey:
    document = await store.read(KEYS, ADMINISTRATOR)
    assert document is not None
    return ApiKey.model_validate_json(document.body)


def files(folder: Path) -> dict[str, tuple[str, int]]:
    """Return what the files that may hold an administrator's key hold, and who may read them."""
    return {one.name: (one.read_text(), one.stat().st_mode & 0o777) for one in folder.glob("*admin-key*")}


async def test_key_that_was_set_is_stored_once(store: Store, tmp_path: Path) -> None:
    administrator = Administrator(store, ADMIN_KEY, tmp_path)
    with pytest.raises(ServiceUnavailable):
        await administrator.check()
    await administrator.run()
    await administrator.check()
    await Administrator(store, ADMIN_KEY, tmp_path).run()
    key = await stored(store)
    assert (key.digest, key.roles, key.revision) == (digest_of(ADMIN_KEY), [Role.ADMIN], 1)
    assert not (tmp_path / "admin-key").exists()


async def test_key_is_made_if_there_is_none_at_all(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        await Administrator(store, None, tmp_path).ensure()
    text = (tmp_path / "admin-key").read_text().strip()
    assert is_well_formed(text)
    assert ((await stored(store)).digest, (await stored(store)).revision) == (digest_of(text), 1)


async def test_process_that_comes_second_leaves_no_key_that_is_good_for_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found_none() -> bool:
        return False

    (tmp_path / "a").mkdir()
    first, second = Administrator(store, None, tmp_path / "a"), Administrator(store, None, tmp_path / "b")
    monkeypatch.setattr(second, "_may_have_existed", found_none)
    await first.ensure()
    await second._make()  # as if both had found the store empty
    assert (tmp_path / "a" / "admin-key").exists()
    assert not (tmp_path / "b" / "admin-key").exists()
    third = Administrator(store, None, tmp_path / "a")
    await third._make()
    assert (tmp_path / "a" / "admin-key").exists()


async def test_key_that_was_revoked_is_not_made_again(store: Store, tmp_path: Path) -> None:
    await Administrator(store, None, tmp_path).ensure()
    before = (tmp_path / "admin-key").read_text()
    await store.write(Write(KEYS, ADMINISTRATOR, lambda _: None))
    await Administrator(store, None, tmp_path).ensure()
    assert (tmp_path / "admin-key").read_text() != before
    assert (await stored(store)).digest == digest_of((tmp_path / "admin-key").read_text().strip())


@pytest.mark.parametrize("is_compacted", [False, True])
async def test_text_in_the_file_is_never_taken_again_after_there_was_a_key(
    store: Store, tmp_path: Path, is_compacted: bool
) -> None:
    await Administrator(store, None, tmp_path).ensure()
    stale = (tmp_path / "admin-key").read_text()
    rotated = (await stored(store)).model_copy(update={"digest": digest_of(ADMIN_KEY)})
    await store.write(Write(KEYS, ADMINISTRATOR, lambda _: rotated))
    await store.write(Write(KEYS, ADMINISTRATOR, lambda _: None))
    while is_compacted and await store.log.compact(keep=0):
        pass
    await Administrator(store, None, tmp_path).ensure()
    text = (tmp_path / "admin-key").read_text()
    assert text != stale
    assert (await stored(store)).digest == digest_of(text.strip())
    assert files(tmp_path) == {"admin-key": (text, 0o600)}
    await Administrator(store, None, tmp_path)._make()  # as if another process had been faster
    assert files(tmp_path) == {"admin-key": (text, 0o600)}


@pytest.mark.parametrize(
    "change",
    [{"roles": []}, {"roles": [], "scopes": ["keys:admin"]}, {"services": ["s"]}, {"name": "other"}, {"service": "s"},
     {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, {"previous_digest": "0" * 64}, {"digest": "0" * 64}],
)  # fmt: skip
async def test_key_that_was_set_is_put_back_if_anything_of_it_was_changed(
    store: Store, tmp_path: Path, change: dict[str, Any]
) -> None:
    administrator = Administrator(store, ADMIN_KEY, tmp_path)
    await administrator.ensure()
    whole = await stored(store)
    changed = whole.model_copy(update=change)
    await store.write(Write(KEYS, ADMINISTRATOR, lambda _: changed))
    await administrator.ensure()
    await administrator.ensure()
    stamps = {"updated_at": None, "revision": 3}
    assert (await stored(store)).model_copy(update=stamps) == whole.model_copy(update=stamps)
    assert (await stored(store)).revision == 3


async def test_start_waits_for_what_it_cannot_use(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarvanom.services.crud.administrator._RETRY_SECONDS", 0)
    administrator = Administrator(store, None, tmp_path)
    failures = iter([ServiceUnavailable("away"), OSError("full")])
    ensure = administrator.ensure

    async def fail_first() -> None:
        for error in failures:
            raise error
        await ensure()

    monkeypatch.setattr(administrator, "ensure", fail_first)
    await administrator.run()
    await administrator.check()
