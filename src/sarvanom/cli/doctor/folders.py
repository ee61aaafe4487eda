"""What is to be seen of this machine's files: how much room is left, and who else may read secrets."""

import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sarvanom.backends.identity.secret_files import (
    ADMIN_KEY,
    INTERNAL_SECRET,
    METRICS_TOKEN,
    SecretFileRefused,
    read_secret,
)
from sarvanom.cli.doctor.findings import Finding, ok, problem, skipped, unknown

LEAST_BYTES: Final = 2**30
_GIB: Final = 2**30


def check_disk(folders: Sequence[Path], least: int = LEAST_BYTES) -> Finding:
    """Tell whether there is room where data is kept."""
    left: dict[Path, int] = {}
    for folder in dict.fromkeys(folders):
        try:
            left[folder] = shutil.disk_usage(folder).free
        except OSError as error:
            advice = "run this in the folder of `sarvanom up`, or set SARVANOM_DATA_DIR"
            return unknown("disk", f"the folder {folder} cannot be looked at: {error.strerror}", advice)
    said = ", ".join(f"{size / _GIB:,.1f} GiB are left in {folder}" for folder, size in left.items())
    if min(left.values()) >= least:
        return ok("disk", said)
    advice = (
        "free some, or move the folder; SARVANOM_HISTORY_SECONDS and SARVANOM_HISTORY_CHANGES bound what history takes"
    )
    return problem("disk", said, advice)


def check_secret_files(folder: Path, master_keys: Path) -> Finding:
    """Tell whether others than their owner may read or replace the secrets."""
    if not folder.exists():
        return skipped("secret files", f"there is no folder {folder}")
    try:
        wrong = list(_wrong(folder, master_keys))
    except PermissionError as error:
        return unknown("secret files", f"{error.filename} cannot be read", "run this as the user who runs the services")
    except OSError as error:
        return unknown(
            "secret files", f"{error.filename or folder} cannot be looked at: {error.strerror}", "see the line before"
        )
    if wrong:
        return problem("secret files", "; ".join(found for found, _ in wrong), "; ".join(advice for _, advice in wrong))
    return ok("secret files", f"those in {folder} are their owner's alone")


def _wrong(folder: Path, master_keys: Path) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and what to do."""
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"others than its owner may put files into {folder}", f"`chmod 700 {folder}`"
    for name in (INTERNAL_SECRET, ADMIN_KEY, METRICS_TOKEN):
        try:
            read_secret(folder / name)
        except SecretFileRefused as error:
            found, _, advice = str(error).partition("; ")
            yield found, f"{folder / name}: {advice or 'make a new one'}"
    if master_keys.exists() and master_keys.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield f"others than its owner may read {master_keys}", f"`chmod 600 {master_keys}`"
