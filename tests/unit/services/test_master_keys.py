"""Where master keys come from, and what is said if they cannot be used."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sarvanom.backends.storage.contract import Store
from sarvanom.backends.storage.postgres.migration import migrate
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.security.keyring import BadMasterKeys
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.master_keys import FILE_NAME, KeySources
from sarvanom.shared.models.crud_models import SystemSetting
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring, sealed

type Sources = Callable[..., KeySources]
POSTGRES = "postgresql://u:p@127.0.0.1:9/db"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """What makes sources of which none is given."""

    def make(**given: Any) -> KeySources:
        return KeySources(**{"keys": None, "command": None, "file": None, "data_dir": tmp_path / "data"} | given)

    return make


async def fill(path: Path) -> None:
    await keep_secret(SQLiteStore(path))


async def keep_secret(store: Store) -> None:
    async with StoredCRUDService(sealed(store)) as service:
        await service.settings.create(SystemSetting(setting_key="a", setting_value="hush", encrypted=True))


def command(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


def test_an_embedded_database_gets_a_key_of_its_own_once(sources: Sources, database: str, tmp_path: Path) -> None:
    first = sources().open(database)
    path = tmp_path / "data" / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [FILE_NAME]
    assert sources().open(database).ids == first.ids
    assert sources(data_dir=tmp_path / "other").open(database).ids != first.ids


def test_processes_that_start_at_once_have_the_same_key(sources: Sources, database: str) -> None:
    found: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(sources().open(database).ids)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_the_environment_goes_before_a_command_and_that_before_a_file(
    sources: Sources, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# both\n{OTHER_KEY}\n{MASTER_KEY}\n")
    file.chmod(0o600)
    said = command(f'print("{MASTER_KEY}")')
    assert sources(file=file).open(database).ids == keyring(OTHER_KEY, MASTER_KEY).ids
    assert sources(file=file, command=said).open(database).ids == keyring(MASTER_KEY).ids
    assert sources(file=file, command=said, keys=OTHER_KEY).open(database).ids == keyring(OTHER_KEY).ids
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (command("raise SystemExit(7)"), "ended with status 7: run it to see why"),
        (command(f'import sys; print("{MASTER_KEY}"); sys.exit(1)'), "ended with status 1"),
        ("/nowhere/kms decrypt", "cannot be run: No such file or directory"),
        ("unbalanced 'quote", "cannot be run: it is no command"),
        ("", "cannot be run"),
        (command("pass"), "holds no master key"),
        (command('print("changeme")'), "key 1 is not 32 bytes in base64"),
        (command("import os; os.write(1, bytes([255]))"), "printed what is no text"),
    ],
)
def test_a_command_that_gives_no_keys_says_so_and_not_what_it_printed(
    sources: Sources, database: str, said: str, reason: str
) -> None:
    with pytest.raises(BadMasterKeys) as caught:
        sources(command=said).open(database)
    assert str(caught.value).startswith("SARVANOM_MASTER_KEY_COMMAND ") or "key 1" in str(caught.value)
    assert reason in str(caught.value)
    assert MASTER_KEY not in str(caught.value)
    assert "changeme" not in str(caught.value)


def test_a_command_that_does_not_end_is_given_up(
    sources: Sources, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarvanom.services.crud.master_keys._COMMAND_SECONDS", 0.2)
    with pytest.raises(BadMasterKeys, match=r"did not end within 0\.2 s"):
        sources(command=command("import time; time.sleep(60)")).open(database)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666, 0o610])
def test_a_file_that_others_can_use_is_refused(sources: Sources, database: str, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys"
    file.write_text(MASTER_KEY)
    file.chmod(mode)
    with pytest.raises(BadMasterKeys, match="chmod 600"):
        sources(file=file).open(database)


def test_a_file_that_is_not_there_is_not_made_where_it_was_named(
    sources: Sources, database: str, tmp_path: Path
) -> None:
    for path in (tmp_path / "nowhere" / "keys", tmp_path):
        with pytest.raises(BadMasterKeys, match="cannot be read"):
            sources(file=path).open(database)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_is_no_text_is_refused(sources: Sources, database: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(os.urandom(8) + b"\xff\xfe")
    file.chmod(0o600)
    with pytest.raises(BadMasterKeys):
        sources(file=file).open(database)


def test_a_shared_database_needs_keys_that_are_given(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(BadMasterKeys, match="There are no master keys: set SARVANOM_MASTER_KEYS"):
        sources().open(POSTGRES)
    assert not (tmp_path / "data").exists()


def test_a_shared_database_that_is_away_keeps_nobody_from_starting(sources: Sources) -> None:
    assert sources(keys=MASTER_KEY).open(POSTGRES).ids == keyring().ids


async def test_a_database_whose_secrets_need_another_key_says_which(
    sources: Sources, database: str, tmp_path: Path
) -> None:
    await fill(tmp_path / "s.db")
    id = keyring().ids[0]
    with pytest.raises(BadMasterKeys) as caught:
        sources(keys=OTHER_KEY).open(database)
    assert str(caught.value) == (
        f"The database holds secrets sealed by master key {id}, which is not in SARVANOM_MASTER_KEYS: put it there"
    )
    assert sources(keys=f"{OTHER_KEY},{MASTER_KEY}").open(database).ids[1] == id


async def test_no_key_is_made_for_a_database_that_has_lost_its_own(
    sources: Sources, database: str, tmp_path: Path
) -> None:
    await fill(tmp_path / "s.db")
    with pytest.raises(BadMasterKeys, match=f"{keyring().ids[0]}, which is not in .*{FILE_NAME}, which is not there"):
        sources().open(database)
    assert not (tmp_path / "data" / FILE_NAME).exists()


async def test_a_shared_database_is_asked_as_well(sources: Sources, postgres_database: str) -> None:
    await migrate(postgres_database)
    assert sources(keys=OTHER_KEY).open(postgres_database).ids == keyring(OTHER_KEY).ids
    await keep_secret(PostgresStore(postgres_database))
    with pytest.raises(BadMasterKeys, match=f"sealed by master key {keyring().ids[0]}, which is not in"):
        sources(keys=OTHER_KEY).open(postgres_database)
    assert sources(keys=f"{OTHER_KEY},{MASTER_KEY}").open(postgres_database).ids[1] == keyring().ids[0]
    assert sources(keys=MASTER_KEY).open(postgres_database).ids == keyring().ids


def test_a_shared_database_without_its_tables_is_another_ones_business(
    sources: Sources, postgres_database: str
) -> None:
    assert sources(keys=MASTER_KEY).open(postgres_database).ids == keyring().ids
