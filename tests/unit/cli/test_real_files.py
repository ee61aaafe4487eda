"""The real files arrive: every entry, none refused, none altered."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sarvanom.cli.importers.datapackage import DATAPACKAGE
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.litellm import LITELLM
from sarvanom.cli.importers.postgres_settings import POSTGRES_SETTINGS
from sarvanom.cli.importing import make_import_command
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract

DATA = Path(__file__).parents[2] / "data"

type Entries = dict[str, Any]


def models_of(document: Any) -> Entries:
    return {name: entry for name, entry in document.items() if name != "sample_spec"}


def datasets_of(document: Any) -> Entries:
    return {resource["name"]: resource for resource in document["resources"]}


def settings_of(document: Any) -> Entries:
    return {row["name"]: row for row in document}


FILES = [
    (LITELLM, "litellm-models.json", models_of, 4552),
    (DATAPACKAGE, "vega-datapackage.json", datasets_of, 73),
    (POSTGRES_SETTINGS, "postgres-settings.json", settings_of, 354),
]


def exact(value: object) -> str:
    """Return a text that is the same only for equal values of equal types: 1 is not 1.0, and neither is true."""
    return json.dumps(value, sort_keys=True)


async def read_back(store: CRUDServiceContract, importer: Importer[Any]) -> dict[str, Any]:
    collection = getattr(store, importer.resource.collection)
    return {importer.resource.id_of(item): item async for item in collection.iterate()}


@pytest.mark.parametrize(("importer", "file", "entries_of", "count"), FILES)
def test_every_entry_arrives_unaltered(
    store: CRUDServiceContract,
    importer: Importer[Any],
    file: str,
    entries_of: Callable[[Any], Entries],
    count: int,
) -> None:
    command = make_import_command(lambda _url, _api_key: store)
    result = CliRunner().invoke(command, [importer.name, str(DATA / file)])
    assert (result.exit_code, result.stderr) == (0, "")
    created = f"{count:,} created, 0 replaced, 0 skipped, 0 refused in "
    assert result.stdout.startswith(f"{importer.resource.collection}: {created}")

    original = entries_of(json.loads((DATA / file).read_bytes()))
    stored = asyncio.run(read_back(store, importer))
    assert len(original) == len(stored) == count
    for id, entry in original.items():
        assert exact(importer.restore(stored[id])) == exact(entry)


def test_fields_hold_what_the_files_say() -> None:
    """Field by field, without the help of `restore`."""
    models = {item.model_name: item for item in LITELLM.parse((DATA / "litellm-models.json").read_bytes())}
    for name, entry in models_of(json.loads((DATA / "litellm-models.json").read_bytes())).items():
        provider = entry.get("litellm_provider", "unknown")
        assert (models[name].model_name, models[name].provider) == (name, provider)
        assert exact(models[name].parameters) == exact(entry)
    assert [name for name in models if models[name].provider == "unknown"] == ["fallback_generalizations"]

    package = json.loads((DATA / "vega-datapackage.json").read_bytes())
    resources = datasets_of(package)
    about = {key: value for key, value in package.items() if key != "resources"}
    for dataset in DATAPACKAGE.parse((DATA / "vega-datapackage.json").read_bytes()):
        resource = resources[dataset.dataset_id]
        assert dataset.name == resource["name"]
        assert dataset.description == resource["description"]
        assert dataset.source == resource["path"]
        assert (dataset.format, dataset.size) == (resource["format"], resource["bytes"])
        moved = {"name", "description", "path", "format", "bytes"}
        others = {key: value for key, value in resource.items() if key not in moved}
        assert exact(dataset.metadata) == exact({**others, "datapackage": about})

    rows = settings_of(json.loads((DATA / "postgres-settings.json").read_bytes()))
    for setting in POSTGRES_SETTINGS.parse((DATA / "postgres-settings.json").read_bytes()):
        row = rows[setting.setting_key]
        assert setting.category == row["category"]
        assert setting.description == row["short_desc"]
        assert setting.setting_value == {key: row[key] for key in ("setting", "unit", "vartype")}
