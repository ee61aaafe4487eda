"""Accounts, and the sessions that tokens stand on, with a sequence of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create("accounts", "account_id", sa.Column("disabled", sa.Integer(), nullable=False))
    _create("sessions", "session_id", expires=True)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.execute("INSERT INTO counters (name, value) VALUES ('sessions', 0)")


def _create(name: str, id_field: str, *columns: sa.Column[object], expires: bool = False) -> None:
    op.create_table(
        name,
        sa.Column(id_field, _TEXT, primary_key=True),
        *columns,
        sa.Column("service", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT, nullable=False),
        sa.Column("revision", _INTEGER, nullable=False),
        *([sa.Column("expires_at", _INTEGER)] if expires else []),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_strict=True,
    )
    op.create_index(f"ix_{name}_created_at", name, ["created_at", id_field])
    for column in ("service", "updated_at"):
        op.create_index(f"ix_{name}_{column}", name, [column, "created_at", id_field])
