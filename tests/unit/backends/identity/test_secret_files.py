"""Secrets in files: made once, read by their owner alone."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sarvanom.backends.identity.secret_files import (
    SecretFileRefused,
    internal_secret,
    read_or_make_secret,
    read_secret,
    replace_secret,
)

SECRET = "s" * 31 + "1"


def write(path: Path, text: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "secret"
    made = read_or_make_secret(file)
    assert len(made) >= 32
    assert read_or_make_secret(file, lambda: "x" * 40) == read_secret(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["secret"]


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: read_or_make_secret(tmp_path / "secret"), range(64)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_no_file_is_no_secret(tmp_path: Path) -> None:
    assert read_secret(tmp_path / "none") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path / "secret", SECRET.encode(), mode)
    with pytest.raises(SecretFileRefused, match=r"Others.*chmod 600") as refused:
        read_or_make_secret(file)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text", [b"", b"short", b"\xff" * 40, b"a b" * 20, b"a" * 5000, b"a" * 20 + b"\x07" + b"a" * 20]
)
def test_what_is_no_secret_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(SecretFileRefused, match="holds no secret"):
        read_or_make_secret(write(tmp_path / "secret", text))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    keep = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with pytest.raises(SecretFileRefused, match="is no file"):
            read_secret(tmp_path / "pipe")
    finally:
        os.close(keep)


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    target = write(tmp_path / "target", SECRET.encode())
    (tmp_path / "secret").symlink_to(target)
    for link in (tmp_path / "secret", tmp_path / "dangling"):
        if not link.is_symlink():
            link.symlink_to(tmp_path / "nowhere")
        with pytest.raises(SecretFileRefused, match="is a symbolic link"):
            read_or_make_secret(link)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """But root may look after the files of a service that runs as somebody else."""
    file = write(tmp_path / "secret", SECRET.encode())
    os.chown(file, 12345, -1)
    with pytest.raises(SecretFileRefused, match=r"another user \(number 12345\)") as refused:
        read_or_make_secret(file)
    assert SECRET not in str(refused.value)
    os.chown(tmp_path, 12345, -1)
    assert read_secret(file) == SECRET
    os.chown(file, 54321, -1)
    with pytest.raises(SecretFileRefused):
        read_secret(file)


@pytest.mark.parametrize(("mode", "warnings"), [(0o700, 0), (0o755, 0), (0o770, 1), (0o777, 1)])
def test_folder_that_others_may_change_is_warned_of(tmp_path: Path, mode: int, warnings: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    with capture_logs() as logs:
        internal_secret(None, folder)
    assert [entry["folder"] for entry in logs if entry["log_level"] == "warning"] == [str(folder)] * warnings
    assert internal_secret("given" * 8, tmp_path / "none") == b"given" * 8


def test_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_or_make_secret(tmp_path / "secret", fail)
    assert list(tmp_path.iterdir()) == []


def test_internal_secret_is_what_was_set_or_what_its_file_holds(tmp_path: Path) -> None:
    assert internal_secret("given" * 8, tmp_path) == b"given" * 8
    assert list(tmp_path.iterdir()) == []
    made = internal_secret(None, tmp_path)
    assert internal_secret(None, tmp_path) == made == (tmp_path / "internal-secret").read_bytes().strip()


def test_secret_is_replaced_whole_and_stays_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    replace_secret(file, "x" * 40)
    replace_secret(file, "y" * 40)
    assert read_secret(file) == "y" * 40
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
