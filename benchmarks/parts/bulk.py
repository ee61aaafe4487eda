"""Bulk import of model configurations as NDJSON, straight to crud."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import override

from benchmarks.errors import MeasurementFailed
from benchmarks.instance import Instance, running
from benchmarks.parts.base import POSTGRES, SQLITE, Bench, Part
from benchmarks.results import SQLITE_ALONE, BulkImport
from benchmarks.systems.sarvanom import Crud, on_postgres
from sarvanom.cli.importers.litellm import read_models

MODELS = Path(__file__).parents[2] / "tests" / "data" / "litellm-models.json"
COPIES = 50
WRONG_SHOWN = 3


class Bulk(Part):
    """Every model of LiteLLM's list, many times over, in one request."""

    name = "bulk"

    @override
    def measure(self, bench: Bench) -> None:
        body = bench.folder / "models.ndjson"
        lines = _write_body(body)
        for number in range(1, bench.rounds + 1):
            folder = bench.folder / f"{self.name}-{SQLITE}-{number}"
            with bench.steps.step(f"{self.name} {SQLITE}", f"{number} of {bench.rounds}: import {lines:,} lines"):
                bench.results.bulk.append(_import(bench, Crud(f"crud {SQLITE}"), folder, SQLITE, body, lines))
            with bench.steps.step(SQLITE_ALONE, f"{number} of {bench.rounds}: store {lines:,} rows"):
                bench.results.bulk.append(_limit(folder, lines))
            shutil.rmtree(folder)
        with (
            bench.steps.step(f"{self.name} {POSTGRES}", f"import {lines:,} lines"),
            bench.postgres(self.name) as server,
        ):
            crud = Crud(f"crud {POSTGRES}", on_postgres(server, server.migrated_database()))
            folder = bench.folder / f"{self.name}-{POSTGRES}"
            bench.results.bulk.append(_import(bench, crud, folder, POSTGRES, body, lines))
        body.unlink()


def _import(bench: Bench, crud: Crud, folder: Path, database: str, body: Path, lines: int) -> BulkImport:
    answer = bench.folder / "answer.ndjson"
    with running(crud, folder) as instance:
        before = instance.cpu_us()
        seconds = _upload(instance, body, answer)
        cpu_us = {role: (used - before[role]) / lines for role, used in instance.cpu_us().items()}
    _check(answer, lines)
    answer.unlink()
    return BulkImport(database, lines, seconds, cpu_us)


def _limit(folder: Path, lines: int) -> BulkImport:
    """Store the rows of an import into SQLite again, by SQLite alone."""
    source = folder / "data" / "sarvanom.db"
    command = (sys.executable, "-m", "benchmarks.clients.copy", str(source), str(folder / "copied.db"))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MeasurementFailed(f"copy: {result.stdout}{result.stderr}")
    return BulkImport(SQLITE_ALONE, lines, float(result.stdout), {})


def _write_body(target: Path) -> int:
    """Write the lines, each with an id of its own; return how many they are."""
    entries = [entry.fields for entry in read_models(json.loads(MODELS.read_bytes()))]
    with target.open("w") as file:
        for copy in range(COPIES):
            for fields in entries:
                line = {**fields, "model_name": f"{fields['model_name']}~{copy}"}
                file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
    return COPIES * len(entries)


def _upload(instance: Instance, body: Path, answer: Path) -> float:
    command = (sys.executable, "-m", "benchmarks.clients.upload", str(instance.back_port), "/models")
    result = subprocess.run((*command, str(body), str(answer)), capture_output=True, text=True, check=False)
    if result.returncode:
        sample = answer.read_bytes()[:500] if answer.exists() else b""
        raise MeasurementFailed(f"upload: {result.stdout}{result.stderr}; answer: {sample!r}")
    return float(result.stdout)


def _check(answer: Path, lines: int) -> None:
    """See that there is a result for every line, in order, and that each says `created`."""
    head, _, body = answer.read_bytes().partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise MeasurementFailed(f"bulk: {head.decode(errors='replace')}; {body[:500]!r}")
    if b"transfer-encoding: chunked" in head.lower():
        body = b"".join(_chunks(body))
    results = [json.loads(line) for line in body.splitlines()]
    wrong = [result for n, result in enumerate(results, 1) if (result["line"], result["outcome"]) != (n, "created")]
    if len(results) != lines or wrong:
        raise MeasurementFailed(f"bulk: {len(results)} results, {len(wrong)} wrong: {wrong[:WRONG_SHOWN]}")


def _chunks(body: bytes) -> Iterator[bytes]:
    begin = 0
    while True:
        end = body.index(b"\r\n", begin)
        size = int(body[begin:end].partition(b";")[0], 16)
        if not size:
            return
        yield body[end + 2 : end + 2 + size]
        begin = end + 2 + size + 2
