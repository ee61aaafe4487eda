"""Secrets in files that only their owner can read: made once, by whoever comes first."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

INTERNAL_SECRET: Final = "internal-secret"  # noqa: S105 (the name of a file)
ADMIN_KEY: Final = "admin-key"
METRICS_TOKEN: Final = "metrics-token"  # noqa: S105 (the name of a file)
_OWNER_ONLY: Final = 0o600
_MIN_LENGTH: Final = 32
_MAX_LENGTH: Final = 4096
_log = structlog.get_logger()


class SecretFileRefused(OSError):
    """A file cannot be trusted with a secret; the text says why and what to do."""


def read_secret(path: Path) -> str | None:
    """Return the secret in a file, or None if there is no file.

    Raises:
        SecretFileRefused: it is another user's, or others than its owner may read it, or what it holds is none.
    """
    try:
        with open(path, "rb", opener=_open_itself) as file:
            _check(path, os.fstat(file.fileno()))
            text = file.read(_MAX_LENGTH + 1).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    if not _MIN_LENGTH <= len(text) <= _MAX_LENGTH or not text.isprintable() or " " in text:
        raise SecretFileRefused(f"{path} holds no secret of {_MIN_LENGTH} printable characters or more; remove it")
    return text


def read_or_make_secret(
    path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32), what: str = "a secret"
) -> str:
    """Return the secret in a file; if there is no file it is made, whole or not at all, also by several at once.

    Raises:
        SecretFileRefused: as for `read_secret`.
        OSError: it can be neither read nor made.
    """
    found = read_secret(path)
    if found is not None:
        return found
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = _draft(path)
    try:
        _write(made, make())
        with contextlib.suppress(FileExistsError):  # somebody else was first
            os.link(made, path)
            _log.info(f"made {what}", file=str(path))
    finally:
        made.unlink(missing_ok=True)
    kept = read_secret(path)
    if kept is None:
        raise SecretFileRefused(f"{path} was removed while it was made")
    return kept


def replace_secret(path: Path, text: str) -> None:
    """Put another secret into a file, whole or not at all; raises `OSError`."""
    made = _draft(path)
    try:
        _write(made, text)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def internal_secret(given: str | None, folder: Path) -> bytes:
    """Return what the services of an installation have in common: what was set, or what its file holds.

    Warns if others may put files into the folder.
    """
    _warn_of(folder)
    return (given or read_or_make_secret(folder / INTERNAL_SECRET, what="an internal secret")).encode()


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _write(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and have it on disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _open_itself(path: str, flags: int) -> int:
    """Open a file and nothing that it refers to; of a pipe nobody waits for the other end."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SecretFileRefused(f"{path} is a symbolic link; put the file itself there") from None
        raise


def _warn_of(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        _log.warning(
            "others than its owner may put files into the data folder, which holds secrets; chmod 700 it",
            folder=str(folder),
        )


def _is_trusted(owner: int, path: Path) -> bool:
    """Tell whether a file's owner is who runs this, or root; root may also read for the owner of the whole folder."""
    me = os.geteuid()
    return owner in (me, 0) or (me == 0 and owner == path.parent.stat().st_uid)


def metrics_token(given: str | None, folder: Path) -> str | None:
    """Return what a scraper reads metrics with: what was set, or what its file holds; None if none can be made.

    Raises:
        SecretFileRefused: there is a file, and it cannot be trusted.
    """
    if given is not None:
        return given
    try:
        return read_or_make_secret(folder / METRICS_TOKEN, what="a metrics token")
    except SecretFileRefused:
        raise
    except OSError:
        return None  # the folder cannot be written: no reason not to serve


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretFileRefused(f"{path} is no file")
    if not _is_trusted(status.st_uid, path):
        raise SecretFileRefused(
            f"{path} belongs to another user (number {status.st_uid}), who may know it; chown it, or make a new one"
        )
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretFileRefused(
            f"Others than the owner of {path} may read or change it; chmod 600 it, or make a new one"
        )
