"""The first start: an administrator's key that is shown once, and secrets that nobody else can read."""

import re
import stat
import subprocess
from pathlib import Path

import httpx2
import orjson
import pytest

from sarvanom.security.api_keys import is_well_formed
from tests.harness.system import RunningProcess, free_port
from tests.services.commands import refusal, run, running, wait_until


def fresh(folder: Path, **settings: str) -> RunningProcess:
    return RunningProcess(("up",), folder, settings=settings, is_given_identity=False)


def said(system: RunningProcess) -> str:
    wait_until(lambda: system.log.read_text().count("Ctrl-C stops both.") > 0, "the announcement")
    return "\n".join(line for line in system.log.read_text().splitlines() if not line.startswith("{"))


def test_the_first_start_makes_a_key_and_shows_it_once(tmp_path: Path) -> None:
    with running(fresh(tmp_path)) as system:
        told = said(system)
        key = (tmp_path / "admin-key").read_text().strip()
        assert is_well_formed(key)
        assert told.count(key) == 1
        (command,) = re.findall(r"^ *(curl (?:.*\\\n)*.*)$", told, re.MULTILINE)
        assert key not in command
        ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        assert ran.stdout.startswith("HTTP/1.1 201 "), ran.stdout
        for line in system.log.read_text().splitlines():
            assert key not in line or not line.startswith("{")
    for name in ("admin-key", "internal-secret"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    secret = (tmp_path / "internal-secret").read_text()
    system.log.unlink()
    with running(fresh(tmp_path)) as again:
        assert key not in said(again)
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx2.get(f"{again.gateway_url}/users/ada", headers=headers).status_code == 200
    assert (tmp_path / "internal-secret").read_text() == secret


def test_the_commands_find_the_key_by_themselves_on_this_machine(tmp_path: Path) -> None:
    with running(fresh(tmp_path)) as system:
        url = system.gateway_url
        settings = {"SARVANOM_DATA_DIR": str(tmp_path), "SARVANOM_URL": url}
        settings |= {"SARVANOM_API_KEY": "", "SARVANOM_ADMIN_KEY": ""}
        made = run(["keys", "create", "reader", "--role", "viewer", "--bound-to", "s"], tmp_path, settings)
        assert (made.returncode, made.stdout.count("\n")) == (0, 1), made.stderr
        key = made.stdout.strip()
        assert is_well_formed(key)
        found = re.search(r"(key-\w+) \(reader\)", made.stderr)
        assert found is not None
        listed = run(["keys", "list"], tmp_path, settings).stdout
        assert re.search(rf"^{found[1]}  sk-sarvanom-\w{{4}}…  reader  viewer  s  never ends$", listed, re.MULTILINE)
        assert key not in listed
        change = ["keys", "change", found[1], "--name", "writer", "--role", "editor", "--unbound"]
        assert "…  writer  editor  all services  never ends\n" in run(change, tmp_path, settings).stdout
        rotated = run(["keys", "rotate", found[1], "--overlap-seconds", "0"], tmp_path, settings)
        assert is_well_formed(rotated.stdout.strip())
        assert rotated.stdout.strip() != key
        revoked = run(["keys", "revoke", found[1]], tmp_path, settings)
        assert (revoked.returncode, revoked.stdout) == (0, "")
        assert found[1] not in run(["keys", "list"], tmp_path, settings).stdout
        again = run(["keys", "revoke", found[1]], tmp_path, settings)
        assert (again.returncode, "There is no key" in again.stderr) == (1, True)
        elsewhere = run(["keys", "list"], tmp_path, {**settings, "SARVANOM_DATA_DIR": str(tmp_path / "none")})
        assert elsewhere.returncode == 1
        for words in ("refused", f"{tmp_path}/none has no `admin-key`", "SARVANOM_DATA_DIR", "SARVANOM_API_KEY"):
            assert words in elsewhere.stderr
        mistyped = run(["keys", "list"], tmp_path, {**settings, "SARVANOM_API_KEY": "sk-mistyped"})
        assert (mistyped.returncode, "that of SARVANOM_API_KEY or --api-key" in mistyped.stderr) == (1, True)
        idle = run(["keys", "create", "idle"], tmp_path, settings)
        assert (idle.returncode, "may do nothing yet" in idle.stderr) == (0, True)
        stale = {**settings, "SARVANOM_ADMIN_KEY": "sk-R7hQm2vXb8Rk6Ws1Zt9Yd3Lc7Pf5Ng0A"}
        refused = run(["keys", "list"], tmp_path, stale)
        assert (refused.returncode, "that of SARVANOM_ADMIN_KEY" in refused.stderr) == (1, True)
        (tmp_path / "admin-key").chmod(0o644)
        loose = run(["keys", "list"], tmp_path, settings)
        assert (loose.returncode, "chmod 600" in loose.stderr) == (1, True)


def test_rotating_the_key_in_the_file_puts_the_new_one_there(tmp_path: Path) -> None:
    with running(fresh(tmp_path)) as system:
        settings = {"SARVANOM_DATA_DIR": str(tmp_path), "SARVANOM_URL": system.gateway_url}
        settings |= {"SARVANOM_API_KEY": "", "SARVANOM_ADMIN_KEY": ""}
        for _ in range(2):
            rotated = run(["keys", "rotate", "key-administrator", "--overlap-seconds", "0"], tmp_path, settings)
            assert rotated.returncode == 0, rotated.stderr
            assert f"{tmp_path}/admin-key holds it now" in rotated.stderr
            assert (tmp_path / "admin-key").read_text() == rotated.stdout
            assert stat.S_IMODE((tmp_path / "admin-key").stat().st_mode) == 0o600
        other = run(["keys", "create", "other"], tmp_path, settings)
        id = other.stderr.partition(" ")[0]
        assert "holds it now" not in run(["keys", "rotate", id], tmp_path, settings).stderr
        assert (tmp_path / "admin-key").read_text() == rotated.stdout
        (tmp_path / "admin-key").write_text("sk-sarvanom-nothing-that-is-known-to-anybody\n")
        stale = run(["keys", "list"], tmp_path, settings)
        assert (stale.returncode, f"that in {tmp_path}/admin-key" in stale.stderr) == (1, True)


def test_a_key_that_was_set_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    first, second = "sk-R7hQm2vXb8Rk6Ws1Zt9Yd3Lc7Pf5Ng0A", "sk-V2nKp9wYc4Tj8Xr3Bs6Zf1Md7Qg5Hl0B"
    for key in (first, second):
        with running(fresh(tmp_path, SARVANOM_ADMIN_KEY=key)) as system:
            assert not (tmp_path / "admin-key").exists()
            for tried in (first, second):
                answer = httpx2.get(f"{system.gateway_url}/keys", headers={"Authorization": f"Bearer {tried}"})
                assert answer.status_code == (200 if tried == key else 401)
            assert key not in system.log.read_text()


def test_a_system_without_any_key_makes_another_one_and_not_the_same(tmp_path: Path) -> None:
    with running(fresh(tmp_path)) as system:
        said(system)
        key = (tmp_path / "admin-key").read_text().strip()
        with httpx2.Client(base_url=system.gateway_url, headers={"Authorization": f"Bearer {key}"}) as http:
            assert http.delete("/keys/key-administrator").status_code == 204
    with running(fresh(tmp_path)) as system:
        other = (tmp_path / "admin-key").read_text().strip()
        assert other != key
        wait_until(lambda: system.log.read_text().count(f"  {other}\n") == 1, "the new key")
        for tried, status in ((key, 401), (other, 200)):
            answer = httpx2.get(f"{system.gateway_url}/keys", headers={"Authorization": f"Bearer {tried}"})
            assert answer.status_code == status


def test_several_crud_processes_agree_on_one_first_key(tmp_path: Path) -> None:
    with running(fresh(tmp_path, SARVANOM_WORKERS="3")) as system:
        key = (tmp_path / "admin-key").read_text().strip()
        with httpx2.Client(base_url=system.gateway_url, headers={"Authorization": f"Bearer {key}"}) as http:
            assert [item["revision"] for item in http.get("/keys").json()["data"]["items"]] == [1]


@pytest.mark.parametrize("command", ["up", "gateway", "crud"])
@pytest.mark.parametrize(
    ("value", "words"),
    [("short", "at least 32 characters"), ("changeme" * 5, "is a placeholder"), ("a b" * 20, "without spaces")],
)
def test_what_is_no_secret_is_refused_and_not_told(tmp_path: Path, command: str, value: str, words: str) -> None:
    ports = {f"SARVANOM_{service}_PORT": str(free_port()) for service in ("GATEWAY", "CRUD")}
    said = refusal([command], tmp_path, {"SARVANOM_INTERNAL_SECRET": value, **ports})
    assert words in said
    assert "SARVANOM_INTERNAL_SECRET=***" in said
    assert value not in said


@pytest.mark.parametrize("value", ["sk-short", "sk-your-key-here-" + "0" * 30, "R7hQm2vXb8Rk6Ws1Zt9Yd3Lc7Pf5Ng0A"])
def test_what_is_no_administrators_key_is_refused(tmp_path: Path, value: str) -> None:
    assert "SARVANOM_ADMIN_KEY=***" in refusal(["crud"], tmp_path, {"SARVANOM_ADMIN_KEY": value})


def test_placeholders_are_accepted_where_it_is_said_to_be_a_developers_machine(tmp_path: Path) -> None:
    placeholder = "sk-change-me-change-me-change-me-change-me"
    settings = {"SARVANOM_ADMIN_KEY": placeholder, "SARVANOM_DEV": "true"}
    with running(fresh(tmp_path, **settings)) as system:
        answer = httpx2.get(f"{system.gateway_url}/keys", headers={"Authorization": f"Bearer {placeholder}"})
        assert answer.status_code == 200


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "internal-secret").write_text("R7hQm2vXb8Rk6Ws1Zt9Yd3Lc7Pf5Ng0A")
    (tmp_path / "internal-secret").chmod(0o644)
    settings = {"SARVANOM_DATA_DIR": str(tmp_path), "SARVANOM_INTERNAL_SECRET": "", "SARVANOM_CRUD_PORT": "0"}
    assert "chmod 600" in refusal(["crud"], tmp_path, settings)


@pytest.mark.parametrize("command", ["gateway", "crud"])
def test_a_data_folder_that_cannot_be_made_is_named_in_words(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    settings = {"SARVANOM_DATA_DIR": str(tmp_path / "file"), "SARVANOM_INTERNAL_SECRET": ""}
    said = refusal([command], tmp_path, {**settings, f"SARVANOM_{command.upper()}_PORT": str(free_port())})
    assert f"{tmp_path}/file" in said
    assert "cannot be used: " in said
    assert "Errno" not in said


def test_a_gateway_with_another_secret_is_told_nothing(tmp_path: Path) -> None:
    """Neither does its caller learn of a 401 that is not about him."""
    (tmp_path / "other").mkdir()
    with running(fresh(tmp_path)) as system:
        key = (tmp_path / "admin-key").read_text().strip()
        other = RunningProcess(("gateway",), tmp_path / "other", crud_port=system.crud_port, is_given_identity=False)
        try:
            other.start(f"{other.gateway_url}/health")
            for _ in range(3):
                answer = httpx2.get(f"{other.gateway_url}/users", headers={"Authorization": f"Bearer {key}"})
                assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
                assert "does not know this gateway" in answer.json()["detail"]
            ready = httpx2.get(f"{other.gateway_url}/ready")
            assert ready.status_code == 503
            (check,) = ready.json()["checks"]
            for words in ("crud does not know this gateway", "SARVANOM_INTERNAL_SECRET", "internal-secret"):
                assert words in check["error"]
            assert str(tmp_path) not in ready.text
        finally:
            other.stop()
        logged = [orjson.loads(line) for line in other.log.read_text().splitlines()]
    secret = str(tmp_path / "other" / "internal-secret")
    warned = [line["secret_from"] for line in logged if line["event"] == "crud does not know this gateway"]
    assert warned == [secret]
    assert [line["file"] for line in logged if line["event"] == "made an internal secret"] == [secret]
