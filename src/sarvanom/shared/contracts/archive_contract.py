"""What exports and restores promise, whether in this process or behind HTTP."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from sarvanom.shared.models.bulk_models import RestoreSummary
from sarvanom.shared.models.crud_models import FilterParams
from sarvanom.shared.resources import Resource

RESTORE_SECONDS: Final = 3600.0
"""How long a restore may take once all of the export was sent."""


class ArchiveContract(ABC):
    """The store as text, a JSON object a line. How the text is cut into chunks means nothing."""

    @abstractmethod
    def export(self) -> AsyncIterator[bytes]:
        """Yield everything as it is at one revision: a header, a line a resource, and a line that ends it.

        Raises:
            ServiceUnavailable: the store is away, or too many exports are under way.
        """

    @abstractmethod
    def export_collection(
        self, resource: Resource[Any], filters: FilterParams | None = None, *, sort: str | None = None
    ) -> AsyncIterator[bytes]:
        """Yield everything in a collection that matches; what is written meanwhile may or may not be seen.

        Raises:
            ValidationFailed: a filter or sort is none that this collection knows.
        """

    @abstractmethod
    async def restore(self, chunks: AsyncIterable[bytes]) -> RestoreSummary:
        """Fill a store that was never used with an export of everything, or do nothing.

        Raises:
            StoreNotEmpty: the store has been used.
            MalformedJSON, ValidationFailed, PayloadTooLarge: the export is not whole and valid; the line is named.
        """
