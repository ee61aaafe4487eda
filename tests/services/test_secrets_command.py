"""`sarvanom secrets`, and what a service says of master keys that it cannot use."""

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import pytest
from httpx2 import Client

from sarvanom.backends.storage.contract import Write
from sarvanom.backends.storage.sqlite.database import open_reader
from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.cli.exits import CANNOT_START
from sarvanom.security.sealed_text import names_key
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.models.crud_models import SystemSetting
from sarvanom.shared.resources import SETTINGS
from tests.harness.identity import SignedRequests
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring, sealed
from tests.harness.system import RunningProcess, running_crud
from tests.services.commands import SARVANOM, children, environment, refusal, run, running, wait_until

OLD, NEW = keyring(MASTER_KEY).ids[0], keyring(OTHER_KEY).ids[0]


def settings(folder: Path, *keys: str) -> dict[str, str]:
    return {
        "SARVANOM_DATA_DIR": str(folder),
        "SARVANOM_CRUD_PORT": "0",
        **({"SARVANOM_MASTER_KEYS": ",".join(keys)} if keys else {}),
    }


def asking(crud: RunningProcess) -> Client:
    """A client of crud that speaks as a gateway does for an administrator."""
    return Client(base_url=crud.crud_url, auth=SignedRequests())


def fill(folder: Path, *keys: str) -> None:
    """Keep a secret."""
    given = {"SARVANOM_MASTER_KEYS": ",".join(keys)} if keys else {}
    with running_crud(folder, **given) as crud, asking(crud) as client:
        body = {"setting_key": "s", "setting_value": "hush", "encrypted": True}
        assert client.post("/settings", json=body).status_code == 201


def test_keygen_prints_a_key_that_services_take(tmp_path: Path) -> None:
    made = [run(["secrets", "keygen"], tmp_path) for _ in range(2)]
    assert [one.returncode for one in made] == [0, 0]
    keys = [one.stdout.strip() for one in made]
    assert keys[0] != keys[1]
    fill(tmp_path, *keys)


def test_a_first_start_makes_a_key_and_the_next_one_uses_it(tmp_path: Path) -> None:
    fill(tmp_path)
    file = tmp_path / "master-keys"
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with running_crud(tmp_path) as crud, asking(crud) as client:
        read = client.get("/settings/s").json()["data"]
        assert client.put("/settings/s", json=read).status_code == 200
        assert client.get("/settings/s?reveal=true").json()["data"]["setting_value"] == "hush"
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SARVANOM_MASTER_KEYS": "changeme"}, "SARVANOM_MASTER_KEYS: key 1 is not 32 bytes in base64"),
        ({"SARVANOM_MASTER_KEYS": ""}, "SARVANOM_MASTER_KEYS holds no master key"),
        ({"SARVANOM_MASTER_KEYS_FILE": "nowhere"}, "nowhere cannot be read: No such file"),
        ({"SARVANOM_MASTER_KEY_COMMAND": "false"}, "SARVANOM_MASTER_KEY_COMMAND ended with status 1"),
    ],
)
def test_keys_that_cannot_be_used_stop_the_start_with_one_line(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    ran = run(["crud"], tmp_path, settings(tmp_path) | given)
    assert ran.returncode == CANNOT_START
    [line] = ran.stderr.splitlines()
    assert said in line
    assert "changeme" not in line
    assert not (tmp_path / "master-keys").exists()


def test_both_services_do_not_start_without_keys(tmp_path: Path) -> None:
    given = settings(tmp_path, "changeme") | {"SARVANOM_GATEWAY_PORT": "0"}
    assert "SARVANOM_MASTER_KEYS: key 1" in refusal(["up"], tmp_path, given)


def test_master_keys_are_no_flag_and_not_for_the_gateway(tmp_path: Path) -> None:
    for command in ("up", "crud", "gateway"):
        assert "--master-keys " not in run([command, "--help"], tmp_path).stdout
    assert "SARVANOM_MASTER_KEYS_FILE" in run(["crud", "--help"], tmp_path).stdout


def test_the_gateway_is_not_given_the_keys(tmp_path: Path) -> None:
    with running(RunningProcess(("up",), tmp_path, settings={"SARVANOM_MASTER_KEYS": MASTER_KEY})) as system:
        given = {name: Path(f"/proc/{pid}/environ").read_bytes() for pid, name in children(system).items()}
    assert {name: b"SARVANOM_MASTER_KEY" in environment for name, environment in given.items()} == {
        "crud": True,
        "gateway": False,
    }


def test_a_database_whose_key_is_gone_stops_the_start_and_names_the_key(tmp_path: Path) -> None:
    fill(tmp_path, MASTER_KEY)
    line = refusal(["crud"], tmp_path, settings(tmp_path, OTHER_KEY))
    assert f"secrets sealed by master key {OLD}, which is not in SARVANOM_MASTER_KEYS" in line
    assert f"sealed by master key {OLD}" in refusal(["crud"], tmp_path, settings(tmp_path))
    assert f"sealed by master key {OLD}" in refusal(["secrets", "rotate"], tmp_path, settings(tmp_path, OTHER_KEY))


def test_rotation_tells_how_many_values_are_under_each_key(tmp_path: Path) -> None:
    fill(tmp_path, MASTER_KEY)
    ran = run(["secrets", "rotate"], tmp_path, settings(tmp_path, OTHER_KEY, MASTER_KEY))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        f"models: 0 values under key {NEW}, the first",
        f"models: 0 values under key {OLD}",
        f"settings: 1 values under key {NEW}, the first",
        f"settings: 0 values under key {OLD}",
        f"accounts: 0 values under key {NEW}, the first",
        f"accounts: 0 values under key {OLD}",
        f"changes: 1 values under key {NEW}, the first",
        f"changes: 0 values under key {OLD}",
        f"idempotency_keys: 0 values under key {NEW}, the first",
        f"idempotency_keys: 0 values under key {OLD}",
        f"Done: 2 texts sealed anew; 0 values are under another key than {NEW}.",
    ]
    again = run(["secrets", "rotate"], tmp_path, settings(tmp_path, OTHER_KEY))
    assert again.stdout.splitlines()[-1].startswith("Done: 0 texts sealed anew")
    with (
        running_crud(tmp_path, SARVANOM_MASTER_KEYS=OTHER_KEY) as crud,
        asking(crud) as client,
    ):
        assert client.get("/settings/s").json()["data"]["setting_value"] == "********"


async def keep_many(path: Path, count: int) -> None:
    store = sealed(SQLiteStore(path), MASTER_KEY)
    for start in range(0, count, 500):
        items = [
            SystemSetting(setting_key=f"s{number}", setting_value=f"hush {number}", encrypted=True)
            for number in range(start, start + 500)
        ]
        await store.write_all([Write(SETTINGS, item.setting_key, lambda _, item=item: item, item) for item in items])  # type: ignore[misc]
    await store.aclose()


async def plain_values(path: Path) -> dict[str, object]:
    async with StoredCRUDService(sealed(SQLiteStore(path), OTHER_KEY)) as service:
        keys = [item.setting_key async for item in service.settings.iterate()]
        return {key: (await service.settings.get(key, reveal=True)).setting_value for key in keys}


def under(path: Path, id: str) -> int:
    """Count the present values under a key, as another process sees them."""
    reader = open_reader(path)
    try:
        found = reader.execute("SELECT count(*) FROM settings WHERE instr(body, ?) > 0", (names_key(id),)).get
        return int(found)
    finally:
        reader.close()


def test_a_rotation_that_is_killed_goes_on_with_what_is_left(tmp_path: Path) -> None:
    path, count = tmp_path / "sarvanom.db", 10_000
    asyncio.run(keep_many(path, count))
    given = settings(tmp_path, OTHER_KEY, MASTER_KEY)
    process = subprocess.Popen(
        [SARVANOM, "secrets", "rotate"], cwd=tmp_path, env=environment(given), stdout=subprocess.DEVNULL
    )
    wait_until(lambda: under(path, NEW) > 0, "a first batch")
    process.kill()
    process.wait()
    done = under(path, NEW)
    assert 0 < done < count
    assert done + under(path, OLD) == count
    ran = run(["secrets", "rotate"], tmp_path, given, timeout=120)
    assert ran.returncode == 0, ran
    assert f"Done: {2 * count - done:,} texts sealed anew" in ran.stdout
    assert asyncio.run(plain_values(path)) == {f"s{number}": f"hush {number}" for number in range(count)}


def test_rotation_fails_where_a_value_does_not_open(tmp_path: Path) -> None:
    fill(tmp_path, MASTER_KEY)
    with (
        running_crud(tmp_path, SARVANOM_MASTER_KEYS=MASTER_KEY) as crud,
        asking(crud) as client,
    ):
        assert client.delete("/settings/s").status_code == 204  # now only the log has it
    ran = run(["secrets", "rotate"], tmp_path, settings(tmp_path, OTHER_KEY))
    assert ran.returncode == 1
    assert f"changes: 1 values under key {OLD}" in ran.stdout
    assert "does not open: changes 2" in ran.stderr
    assert f"values are not under key {NEW}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_rotation_of_a_database_that_is_away_or_not_ours_says_so(tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:9/db"
    said = refusal(["secrets", "rotate"], tmp_path, settings(tmp_path, MASTER_KEY) | {"SARVANOM_DATABASE_URL": url})
    assert "cannot be reached" in said
    assert "hunter2" not in said
    (tmp_path / "sarvanom.db").write_bytes(os.urandom(8192))
    assert "Not rotated" in refusal(["secrets", "rotate"], tmp_path, settings(tmp_path, MASTER_KEY))
