"""What the revision log promises, whether it is in this process or behind HTTP."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

from sarvanom.shared.models.log_models import Change, ChangeList


class RevisionLogContract(ABC):
    """Every change of the logged resources, in the order of its revision."""

    @abstractmethod
    async def changes(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
        limit: int = 100,
    ) -> ChangeList:
        """Return changes after `since` (None: from the oldest held), at most `limit` of them.

        With `service` the log is as that service sees it: what came to it from another is a creation, what left it a
        deletion.

        Raises:
            RevisionCompacted: changes after `since` are no longer held.
            ValidationFailed: `since` is still to come, the collection is not logged, or an id stands without one.
        """

    @abstractmethod
    def watch(
        self,
        since: int | None = None,
        *,
        resource: str | None = None,
        id: str | None = None,
        service: str | None = None,
    ) -> AsyncGenerator[Change]:
        """Yield every change after `since` (None: after now) once, in order, and go on for ever.

        A broken connection is made again, and the watch resumes where it was.

        Raises:
            RevisionCompacted: changes after the last one seen are no longer held.
            ValidationFailed: as for `changes`.
        """

    @abstractmethod
    async def revert(self, revision: int) -> Change:
        """Undo a revision as a new one, which is returned. Not idempotent: the second time raises.

        Raises:
            ResourceNotFound: there is no such revision.
            RevisionCompacted: it is no longer held.
            RevertConflict: a later change builds on it.
            ResourceConflict: a unique field of the state before is taken by now.
        """
