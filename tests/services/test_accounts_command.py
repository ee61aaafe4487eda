"""`sarvanom accounts` as a person uses it; passwords are typed or piped, and nowhere else."""

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.services.commands import SARVANOM, environment, run
from tests.services.logins import PASSWORD, Realm, granted
from tests.services.realms import LEASE, running_realm


def test_accounts_are_made_listed_changed_and_ended(tmp_path: Path) -> None:
    with running_realm(tmp_path, gateways=1) as realm:
        settings = {"SARVANOM_URL": realm.url}

        def command(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
            ran = run(["accounts", *arguments], tmp_path, settings, typed=typed)
            assert ran.returncode == 0, ran.stderr
            assert PASSWORD not in ran.stdout + ran.stderr
            return ran

        made = command("create", "ada", "--role", "editor", "--bound-to", "s", typed=f"{PASSWORD}\n")
        assert made.stderr == "ada can log in.\n"
        assert command("list").stdout == "ada  editor  s  enabled\n"
        login = realm.log_in("ada")
        assert realm.status(login["access_token"]) == 200
        command("change", "ada", "--scope", "users:read", "--unbound")
        assert command("list").stdout == "ada  users:read  all services  enabled\n"
        assert ended(realm, login["access_token"])
        command("change", "ada", "--role", "editor")
        command("change", "ada", "--bound-to", "s")
        assert command("list").stdout == "ada  editor  s  enabled\n"
        for wrong in ([], ["--unbound", "--bound-to", "s"]):
            assert run(["accounts", "change", "ada", *wrong], tmp_path, settings).returncode == 2
        login = realm.log_in("ada")
        command("logout", "ada")
        assert ended(realm, login["access_token"])
        another = "Sphinx of black quartz"
        command("password", "ada", typed=another)
        login = realm.log_in("ada", another)
        command("disable", "ada")
        assert ended(realm, login["access_token"])
        assert command("list").stdout == "ada  editor  s  disabled\n"
        assert realm.token(grant_type="password", username="ada", password=another).status_code == 400
        command("enable", "ada")
        assert granted(realm.token(grant_type="password", username="ada", password=another))
        command("delete", "ada")
        assert command("list").stdout == ""
        gone = run(["accounts", "delete", "ada"], tmp_path, settings)
        assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
        assert "There is no account with account_id 'ada'" in gone.stderr
        weak = run(["accounts", "create", "eve"], tmp_path, settings, typed="short\n")
        assert weak.returncode == 1
        assert "Must have at least 15 characters" in weak.stderr
        assert "short" not in weak.stderr
        spaced = run(["accounts", "create", "bo b"], tmp_path, settings, typed=f"{PASSWORD}\n")
        assert (spaced.returncode, "Must be 1 to" in spaced.stderr, "[" in spaced.stderr) == (1, True, False)


def ended(realm: Realm, token: str) -> bool:
    time.sleep(LEASE)
    return realm.status(token) == 401


@pytest.mark.parametrize("repeated", [PASSWORD, "another one altogether"])
def test_password_is_typed_twice_on_a_terminal_and_not_shown(tmp_path: Path, repeated: str) -> None:
    with running_realm(tmp_path, gateways=1) as realm:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [SARVANOM, "accounts", "create", "ada"],
            cwd=tmp_path,
            env=environment({"SARVANOM_URL": realm.url}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        said = b""
        for prompt, typed in ((b"Password: ", PASSWORD), (b"confirmation: ", repeated)):
            while not said.endswith(prompt):
                said += os.read(ours, 1024)
            os.write(ours, f"{typed}\n".encode())
        if repeated != PASSWORD:
            while not said.endswith(b"Password: "):
                said += os.read(ours, 1024)
            process.kill()
        process.wait(30)
        os.close(ours)
        assert PASSWORD.encode() not in said
        made = realm.administrator.get("/accounts").json()["data"]["items"]
        assert [one["account_id"] for one in made] == (["ada"] if repeated == PASSWORD else [])
