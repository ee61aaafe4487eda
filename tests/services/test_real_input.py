"""Real files through the real command, a real gateway and both ways back: every entry, field by field."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sarvanom.cli.importers.datapackage import DATAPACKAGE
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.litellm import LITELLM
from sarvanom.cli.importers.postgres_settings import POSTGRES_SETTINGS
from sarvanom.shared.clients.service_client import ServiceClientFactory
from tests.harness.identity import ADMIN_HEADERS, ADMIN_KEY
from tests.harness.system import RunningProcess, running_system
from tests.services.commands import run

type Entries = dict[str, Any]

FILES = [
    pytest.param(
        LITELLM,
        "litellm-models.json",
        lambda document: {name: entry for name, entry in document.items() if name != "sample_spec"},
        4552,
        id="litellm",
    ),
    pytest.param(
        DATAPACKAGE,
        "vega-datapackage.json",
        lambda document: {entry["name"]: entry for entry in document["resources"]},
        73,
        id="datapackage",
    ),
    pytest.param(
        POSTGRES_SETTINGS,
        "postgres-settings.json",
        lambda document: {entry["name"]: entry for entry in document},
        354,
        id="postgres-settings",
    ),
]
EACH_FILE = pytest.mark.parametrize(("importer", "file", "entries_of", "count"), FILES)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """A system of its own, so that nothing but the imports is in it."""
    with running_system(tmp_path_factory.mktemp("imports"), SARVANOM_LOG_LEVEL="warning") as running:
        yield running


def run_import(system: RunningProcess, importer: Importer[Any], file: Path, *options: str) -> tuple[int, str, str]:
    arguments = ["import", importer.name, str(file), "--url", system.gateway_url, *options]
    ran = run(arguments, system.data_dir, timeout=120)
    return ran.returncode, re.sub(r" in [\d.,]+ s \([\d,]+/s\)", "", ran.stdout), ran.stderr


def exact(value: object) -> str:
    """Return a text that is the same only for equal values of equal types."""
    return json.dumps(value, sort_keys=True)


@EACH_FILE
async def test_every_entry_arrives_and_comes_back_as_it_stood_in_the_file(
    empty: RunningProcess,
    data_files: Path,
    importer: Importer[Any],
    file: str,
    entries_of: Callable[[Any], Entries],
    count: int,
) -> None:
    resource = importer.resource
    outcome = run_import(empty, importer, data_files / file)
    assert outcome == (0, f"{resource.collection}: {count:,} created, 0 replaced, 0 skipped, 0 refused\n", "")
    entries = entries_of(json.loads((data_files / file).read_bytes()))
    assert len(entries) == count
    async with ServiceClientFactory().crud(url=empty.gateway_url, api_key=ADMIN_KEY) as client:
        collection = getattr(client, resource.collection)
        for id, entry in entries.items():
            item = await collection.get(id)
            assert resource.id_of(item) == id
            assert exact(importer.restore(item)) == exact(entry)
    for id, item in read_raw(empty.gateway_port, resource.collection, list(entries)):
        assert item[resource.id_field] == id
        restored = importer.restore(resource.model.model_validate_json(json.dumps(item)))
        assert exact(restored) == exact(entries[id])
    listed = httpx2.get(
        f"{empty.gateway_url}/{resource.collection}?limit=1&include_total=true", headers=ADMIN_HEADERS
    ).json()
    assert listed["metadata"]["total"] == count


def read_raw(port: int, collection: str, ids: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read items over one connection, their ids in the request line exactly as they are."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection:
        for id in ids:
            connection.request("GET", f"/{collection}/{id}", headers=ADMIN_HEADERS)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, id
            yield id, json.loads(body)["data"]


@pytest.mark.parametrize(("importer", "file", "entries_of", "count"), FILES[1:])
def test_an_import_again_conflicts_skips_or_replaces_as_it_is_told(
    system: RunningProcess,
    data_files: Path,
    importer: Importer[Any],
    file: str,
    entries_of: Callable[[Any], Entries],
    count: int,
) -> None:
    collection = importer.resource.collection
    outcome = run_import(system, importer, data_files / file)
    assert outcome == (0, f"{collection}: {count:,} created, 0 replaced, 0 skipped, 0 refused\n", "")
    status, said, _ = run_import(system, importer, data_files / file)
    assert status == 1
    assert said.startswith(f"{collection}: 0 created, 0 replaced, 0 skipped, {count:,} refused\n")
    assert said.count("  refused ") == 10
    assert f"and {count - 10:,} more" in said
    outcome = run_import(system, importer, data_files / file, "--on-conflict", "skip")
    assert outcome == (0, f"{collection}: 0 created, 0 replaced, {count:,} skipped, 0 refused\n", "")
    outcome = run_import(system, importer, data_files / file, "--on-conflict", "replace", "--service", "again")
    assert outcome == (0, f"{collection}: 0 created, {count:,} replaced, 0 skipped, 0 refused\n", "")
    listed = httpx2.get(f"{system.gateway_url}/{collection}?service=again&limit=1000", headers=ADMIN_HEADERS).json()[
        "data"
    ]["items"]
    entries = entries_of(json.loads((data_files / file).read_bytes()))
    assert len(listed) == count
    for item in listed:
        restored = importer.restore(importer.resource.model.model_validate_json(json.dumps(item)))
        assert exact(restored) == exact(entries[item[importer.resource.id_field]])


def test_an_import_without_a_gateway_says_how_to_start_one(tmp_path: Path, data_files: Path) -> None:
    ran = run(
        ["import", "datapackage", str(data_files / "vega-datapackage.json"), "--url", "http://127.0.0.1:9"], tmp_path
    )
    assert ran.returncode == 1
    assert "Nothing answers at http://127.0.0.1:9" in ran.stderr
    assert "sarvanom up" in ran.stderr
    assert "Traceback" not in ran.stderr
