"""The five resources and the counters, as they were when every database was an SQLite file."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "counters",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _INTEGER, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO counters (name, value) VALUES ('revision', 0), ('hits', 0), ('misses', 0), ('expirations', 0)"
    )
    _create_cache()
    _create_resource(
        "users",
        "user_id",
        sa.Column("username", _TEXT, nullable=False, unique=True),
        sa.Column("email", _TEXT, nullable=False, unique=True),
    )
    _create_resource(
        "models",
        "model_name",
        sa.Column("provider", _TEXT, nullable=False),
        sa.Column("enabled", sa.Integer(), nullable=False),
        sa.Column("priority", _INTEGER, nullable=False),
        indexed=("provider", "priority"),
    )
    _create_resource(
        "datasets",
        "dataset_id",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("format", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("size", _INTEGER),
        indexed=("name",),
    )
    op.create_index("ix_datasets_size", "datasets", [sa.text("coalesce(size, -1)"), "dataset_id"])
    _create_resource("settings", "setting_key", sa.Column("category", _TEXT, nullable=False), indexed=("category",))


def _create_cache() -> None:
    _create_resource("cache", "key", expires=True)
    op.create_index("ix_cache_expires_at", "cache", ["expires_at"])
    op.create_table(
        "cache_tags",
        sa.Column("value", _TEXT, primary_key=True),
        sa.Column("owner", _TEXT, sa.ForeignKey("cache.key", ondelete="CASCADE"), primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cache_tags_owner", "cache_tags", ["owner"])


def _create_resource(
    name: str, id_field: str, *columns: sa.Column[object], indexed: tuple[str, ...] = (), expires: bool = False
) -> None:
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
    for column in (*indexed, "service", "created_at", "updated_at"):
        op.create_index(f"ix_{name}_{column}", name, [column, id_field])
