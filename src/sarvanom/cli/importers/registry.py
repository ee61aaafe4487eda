"""The importers there are; the commands derive from this list."""

from typing import Any, Final

from sarvanom.cli.importers.datapackage import DATAPACKAGE
from sarvanom.cli.importers.importer import Importer
from sarvanom.cli.importers.litellm import LITELLM
from sarvanom.cli.importers.postgres_settings import POSTGRES_SETTINGS

IMPORTERS: Final[tuple[Importer[Any], ...]] = (LITELLM, DATAPACKAGE, POSTGRES_SETTINGS)
