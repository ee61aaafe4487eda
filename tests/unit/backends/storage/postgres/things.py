"""What the tests of this folder store, and how they look behind the store's back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from sarvanom.backends.storage.contract import IdempotencyKey, Origin, Write, Written
from sarvanom.backends.storage.postgres.connections import Timeouts
from sarvanom.backends.storage.postgres.store import PostgresStore
from sarvanom.backends.storage.sql import SQL
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.models.crud_models import SystemSetting, UserProfile
from sarvanom.shared.resources import SETTINGS
from tests.harness.secrets import sealed

SHORT = Timeouts(statement=0.6, lock=0.4, queue=0.4)


def setting(key: object, value: Any = 1) -> SystemSetting:
    return SystemSetting(setting_key=f"key/{key}", setting_value=value)


def user(id: str, email: str) -> UserProfile:
    return UserProfile(user_id=id, username=id, email=f"{email}@example.org")


def put(key: object, value: Any = 1, idempotency_key: str | None = None) -> Write:
    """Return a write that puts a setting."""
    item = setting(key, value)
    key_of = None if idempotency_key is None else IdempotencyKey(idempotency_key, b"fingerprint")
    return Write(SETTINGS, item.setting_key, lambda _: item, item, Origin(f"request {key}", None, key_of))


async def look_up(store: PostgresStore, key: str) -> Any:
    """Read a setting as a group of one does: several of these at the same time take a connection each."""
    return await store._pool.fetch_one(
        SQL("SELECT 1 FROM settings WHERE setting_key = $1", ("id",)), {"id": f"key/{key}"}
    )


async def outcome[T](action: Awaitable[T]) -> tuple[T | SarvanOMError, float]:
    """Return what came of an action, and how many seconds that took."""
    began = time.monotonic()
    try:
        result: T | SarvanOMError = await action
    except SarvanOMError as error:
        result = error
    return result, time.monotonic() - began


async def seconds_until(action: Callable[[], Awaitable[object]], limit: float = 10.0) -> float:
    """Try again and again until it succeeds; return after how many seconds that was."""
    began = time.monotonic()
    while True:
        try:
            await action()
        except ServiceUnavailable:
            assert time.monotonic() - began < limit
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - began


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[tuple[PostgresStore, StoredCRUDService]]:
    """Open a store."""
    store = PostgresStore(url, **options)
    try:
        yield store, StoredCRUDService(sealed(store))
    finally:
        await store.aclose()


async def ask(url: str, statement: str, *arguments: object) -> list[Any]:
    """Ask the database itself."""
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


@asynccontextmanager
async def foreign_transaction(url: str, *statements: str) -> AsyncIterator[None]:
    """Hold what the statements lock."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN")
        for statement in statements:
            await connection.execute(statement)
        yield
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.execute("ROLLBACK")
        await connection.close()


async def revisions(url: str) -> list[int]:
    """Return all revisions of the log."""
    return [row[0] for row in await ask(url, "SELECT revision FROM changes ORDER BY revision")]


def is_written(found: object) -> bool:
    return isinstance(found, Written)
