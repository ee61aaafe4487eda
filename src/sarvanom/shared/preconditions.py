"""Conditional requests: which state a resource must be in for a request to be carried out (RFC 9110, section 13)."""

from dataclasses import dataclass
from typing import Final, Self

from sarvanom.shared.errors import PreconditionFailed

ANY: Final = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Preconditions:
    """`If-Match` and `If-None-Match` as sets of strong entity tags, their quotes included, or `ANY`."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    @classmethod
    def of_write(cls, *, if_match: int | None = None, create: bool = False) -> Self:
        """Return the preconditions that a contract's caller names by revision."""
        return cls(
            None if if_match is None else frozenset({entity_tag(if_match)}),
            ANY if create else None,
        )

    @property
    def creates(self) -> bool:
        """Whether the caller wants the resource only if it does not exist: a replacement then creates it."""
        return self.if_none_match == ANY

    def check(self, revision: int | None) -> None:
        """Hold the preconditions against what is stored; None if nothing is.

        Raises:
            PreconditionFailed: they do not hold.
        """
        if self.if_match is not None and not _matches(self.if_match, revision):
            raise PreconditionFailed(f"If-Match does not hold: {_describe(revision)}")
        if self.if_none_match is not None and _matches(self.if_none_match, revision):
            raise PreconditionFailed(f"If-None-Match does not hold: {_describe(revision)}")

    def check_read(self, revision: int) -> None:
        """Hold `If-Match` alone against what is read; `If-None-Match` is what `is_unchanged` is about."""
        Preconditions(self.if_match).check(revision)

    def is_unchanged(self, revision: int) -> bool:
        """Tell whether a reader already has this revision (304)."""
        return self.if_none_match is not None and _matches(self.if_none_match, revision)


def entity_tag(revision: int) -> str:
    """Return the entity tag of a revision."""
    return f'"{revision}"'


NO_PRECONDITIONS: Final = Preconditions()


def _matches(tags: frozenset[str], revision: int | None) -> bool:
    return revision is not None and ("*" in tags or entity_tag(revision) in tags)


def _describe(revision: int | None) -> str:
    return "the resource does not exist" if revision is None else f"the resource is at revision {revision}"
