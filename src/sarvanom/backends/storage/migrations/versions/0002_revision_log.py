"""The revision log, idempotency keys, a sequence of its own for the cache, and indexes in which ties go by creation.

What there is becomes the state at the log's floor: history begins here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXED = {
    "cache": ("key", "service", "updated_at"),
    "users": ("user_id", "service", "updated_at"),
    "models": ("model_name", "provider", "priority", "service", "updated_at"),
    "datasets": ("dataset_id", "name", "coalesce(size, -1)", "service", "updated_at"),
    "settings": ("setting_key", "category", "service", "updated_at"),
}
_LOGGED = {"users": "user_id", "models": "model_name", "datasets": "dataset_id", "settings": "setting_key"}


def upgrade() -> None:
    """Create the tables, and take over what there is."""
    _create_changes()
    _create_idempotency_keys()
    for collection, (id_field, *indexed) in _INDEXED.items():
        for expression in indexed:
            name = f"ix_{collection}_{'size' if 'size' in expression else expression}"
            op.drop_index(name, collection)
            op.create_index(name, collection, [sa.text(expression), "created_at", id_field])
    for name in ("cache", "floor"):
        op.execute(f"INSERT INTO counters (name, value) SELECT '{name}', value FROM counters WHERE name = 'revision'")  # noqa: S608
    for collection, id_field in _LOGGED.items():
        op.execute(
            "INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) "  # noqa: S608
            f"SELECT revision, '{collection}', {id_field}, 'create', service, '', updated_at, body FROM {collection}"
        )


def _create_changes() -> None:
    op.create_table(
        "changes",
        sa.Column("revision", _INTEGER, primary_key=True, autoincrement=False),
        sa.Column("collection", _TEXT, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("service", _TEXT, nullable=False),
        sa.Column("left_service", _TEXT),
        sa.Column("actor", _TEXT),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("time", _TEXT, nullable=False),
        sa.Column("previous", _INTEGER),
        sa.Column("reverts", _INTEGER),
        sa.Column("body", sa.LargeBinary()),
        sqlite_strict=True,
    )
    op.create_index("ix_changes_collection", "changes", ["collection", "id", "revision"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("number", _INTEGER, primary_key=True),
        sa.Column("key", _TEXT, nullable=False, unique=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("time", _TEXT, nullable=False),
        sa.Column("revision", _INTEGER, nullable=False),
        sa.Column("created_at", _TEXT),
        sa.Column("body", sa.LargeBinary()),
        sqlite_strict=True,
    )
