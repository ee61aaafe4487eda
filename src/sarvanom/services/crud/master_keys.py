"""Where the master keys come from: the environment, a command, or a file, which an embedded database gets by itself."""

import os
import shlex
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from sarvanom.security.keyring import BadMasterKeys, Keyring, new_key, parse_keyring
from sarvanom.security.sealed_text import MARKER, key_ids, names_key
from sarvanom.services.crud.storage import SQLITE, find_text
from sarvanom.shared.errors import ServiceUnavailable

FILE_NAME: Final = "master-keys"
_COMMAND_SECONDS: Final = 30.0
_HEADER: Final = """\
# SarvanOM's master keys, one a line: the first seals secrets, all of them open. Without them secrets are lost.
# Keep a copy apart from the database.
"""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KeySources:
    """What the settings say: the keys themselves, a command that prints them, or a file; the first that is given."""

    keys: str | None
    command: str | None
    file: Path | None
    data_dir: Path

    def open(self, database: str) -> Keyring:
        """Return the keys for a database that has its schema already.

        Raises:
            BadMasterKeys: there are none, they cannot be used, or the database needs another one.
        """
        keyring, source = self._load(database)
        _check_needed(database, keyring.ids, source)
        return keyring

    def _load(self, database: str) -> tuple[Keyring, str]:
        if self.keys is not None:
            return parse_keyring(self.keys, "SARVANOM_MASTER_KEYS"), "SARVANOM_MASTER_KEYS"
        if self.command is not None:
            return parse_keyring(_run(self.command), "SARVANOM_MASTER_KEY_COMMAND"), "SARVANOM_MASTER_KEY_COMMAND"
        path = self.file or self.data_dir / FILE_NAME
        if self.file is None and not path.exists():
            if not database.startswith(SQLITE):
                raise BadMasterKeys(
                    f"There are no master keys: set SARVANOM_MASTER_KEYS, SARVANOM_MASTER_KEYS_FILE or "
                    f"SARVANOM_MASTER_KEY_COMMAND to the same keys for every crud, or put them into {path}; "
                    "`sarvanom secrets keygen` prints one"
                )
            _check_needed(database, (), f"{path}, which is not there")
            _make(path)
        return _read(path), str(path)


def _read(path: Path) -> Keyring:
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise BadMasterKeys(f"{path} can be read by others than its owner: chmod 600 it")
            return parse_keyring(file.read(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadMasterKeys(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None


def _make(path: Path) -> None:
    """Make a file with a new key, whole and on disk before it has its name; another process may be first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_HEADER}{new_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
            _log.info("made a master key", file=str(path))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        Path(draft).unlink()


def _run(command: str) -> str:
    """Return what a command prints; what it prints of its own accord to standard error is not repeated."""
    try:
        done = subprocess.run(  # noqa: S603 (the operator's own command)
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except UnicodeDecodeError:
        raise BadMasterKeys("SARVANOM_MASTER_KEY_COMMAND printed what is no text") from None
    except (OSError, ValueError, IndexError) as error:
        reason = getattr(error, "strerror", None) or "it is no command"
        raise BadMasterKeys(f"SARVANOM_MASTER_KEY_COMMAND cannot be run: {reason}") from None
    except subprocess.TimeoutExpired:
        raise BadMasterKeys(f"SARVANOM_MASTER_KEY_COMMAND did not end within {_COMMAND_SECONDS:g} s") from None
    if done.returncode:
        raise BadMasterKeys(f"SARVANOM_MASTER_KEY_COMMAND ended with status {done.returncode}: run it to see why")
    return done.stdout


def _check_needed(database: str, ids: tuple[str, ...], source: str) -> None:
    """Refuse keys without one by which a present value is sealed; a database that is away is not asked."""
    try:
        found = find_text(database, MARKER, [names_key(id) for id in ids])
    except ServiceUnavailable as error:
        _log.warning("whether all master keys are here is not known", reason=error.detail)
        return
    missing = sorted(set(key_ids(found or b"")) - set(ids))
    if missing:
        raise BadMasterKeys(
            f"The database holds secrets sealed by master key {missing[0]}, which is not in {source}: put it there"
        )
