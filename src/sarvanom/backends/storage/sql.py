"""A statement of SQLAlchemy Core as text for a driver."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect


class SQL(NamedTuple):
    """A statement as a driver takes it, and the names of its parameters, in their order where they have only that."""

    text: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the parameters."""
        return [values[name] for name in self.names]


def render(statement: sa.ClauseElement, dialect: Dialect) -> SQL:
    """Return the statement's text and its parameters."""
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return SQL(str(compiled), tuple(compiled.positiontup or ()))
