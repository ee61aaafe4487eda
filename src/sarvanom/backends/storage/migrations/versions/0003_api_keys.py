"""API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "keys",
        sa.Column("key_id", _TEXT, primary_key=True),
        sa.Column("digest", _TEXT, nullable=False, unique=True),
        sa.Column("previous_digest", _TEXT, unique=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("service", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT, nullable=False),
        sa.Column("revision", _INTEGER, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_keys_created_at", "keys", ["created_at", "key_id"])
    for column in ("name", "service", "updated_at"):
        op.create_index(f"ix_keys_{column}", "keys", [column, "created_at", "key_id"])
