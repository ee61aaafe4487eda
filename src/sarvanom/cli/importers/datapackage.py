"""Frictionless Data Package, versions 1 and 2 (https://datapackage.org/standard/data-package/).

A resource's `name` becomes the id, `title` (else `name`) the name, `path` the source as it stands, relative to the
package. Every other member is kept verbatim in the metadata; so are a `path` that lists several files and inline
`data`, which leave the source empty. What the package says of itself (its home page, its licences, which its resources
inherit) goes into the metadata of each under `datapackage`.
"""

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from sarvanom.cli.importers.document import ImportRefused, JsonObject
from sarvanom.cli.importers.importer import Entry, Importer, label_of, object_at
from sarvanom.cli.importers.layout import Layout, says_nothing
from sarvanom.shared.models.crud_models import Dataset
from sarvanom.shared.resources import DATASETS

PACKAGE: Final = "datapackage"

_LAYOUT: Final = Layout(
    members={
        "name": "dataset_id",
        "description": "description",
        "path": "source",
        "format": "format",
        "bytes": "size",
    },
    rest="metadata",
)


def read_datasets(document: JsonValue) -> Iterator[Entry]:
    """Yield the resources of the package."""
    if not isinstance(document, dict) or not isinstance(resources := document.get("resources"), list):
        raise ImportRefused("must be a data package: an object with a list `resources`")
    package = {member: value for member, value in document.items() if member != "resources"}
    for number, value in enumerate(resources, 1):
        resource = object_at(label_of("resource", number, None), value)
        label = label_of("resource", number, resource.get("name"))
        _check_location(label, resource)
        yield Entry(label, _fields(label, resource, package))


def _fields(label: str, resource: JsonObject, package: JsonObject) -> JsonObject:
    fields, metadata = _LAYOUT.split(resource)
    if isinstance(resource.get("path"), list):
        metadata["path"] = fields.pop("source")
    name, title = fields.get("dataset_id"), metadata.get("title")
    fields["name"] = name
    if not says_nothing(title) and title != name:
        fields["name"] = metadata.pop("title")
    if PACKAGE in metadata:
        raise ImportRefused(
            f"{label}: {PACKAGE} must not be a member of a resource: what the package says of itself is kept there"
        )
    if package:
        metadata[PACKAGE] = package
    return {**fields, "metadata": metadata}


def _check_location(label: str, resource: JsonObject) -> None:
    """Refuse a resource that does not say where its data is, or says so in two ways."""
    path = resource.get("path")
    if says_nothing(path) != ("data" in resource):
        raise ImportRefused(f"{label}: must have either `path` (a path, a URL or a list of them) or inline `data`")
    if isinstance(path, list) and not (path and all(isinstance(part, str) for part in path)):
        raise ImportRefused(f"{label}: path: must be text or a list of at least one text")


def restore_dataset(item: Dataset) -> JsonObject:
    """Return the descriptor of the resource as it stood in the package."""
    resource = _LAYOUT.join(item)
    resource.pop(PACKAGE, None)
    if item.name != item.dataset_id:
        resource["title"] = item.name
    return resource


DATAPACKAGE: Final = Importer(
    name="datapackage",
    reads="the datapackage.json of a Frictionless Data Package",
    resource=DATASETS,
    entries=read_datasets,
    restore=restore_dataset,
    members={
        **{field: member for member, field in _LAYOUT.members.items()},
        "name": "title",
    },
)
