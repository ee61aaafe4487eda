"""What PostgreSQL's failures mean to a caller."""

from typing import Final

import asyncpg
import structlog

from sarvanom.shared.errors import ServiceUnavailable

FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""Whatever the driver raises; a lost connection is among them in several guises."""

RETRYABLE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""A transaction that met another one, and may be run again."""

_UNPREPARED: Final = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.OutdatedSchemaCacheError,
)
"""A prepared statement is gone, or no longer fits what it was prepared for."""

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)

_log = structlog.get_logger()


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection, or what is prepared on it, is of no more use."""
    return isinstance(error, (*_LOST, *_UNPREPARED))


def translated(error: BaseException) -> ServiceUnavailable:
    """Return what a failure means to a caller; it says nothing of the statement, nor of the login."""
    match error:
        case asyncpg.ReadOnlySQLTransactionError():
            reason = "The database is read-only at the moment: perhaps it is a standby"
        case asyncpg.CannotConnectNowError() | asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError():
            reason = "The database is starting or stopping"
        case asyncpg.TooManyConnectionsError():
            reason = "The database has no connections left"
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            reason = "The database refuses the login that SARVANOM_DATABASE_URL names"
        case asyncpg.InsufficientPrivilegeError():
            reason = "The login that SARVANOM_DATABASE_URL names lacks rights in the database"
        case asyncpg.InsufficientResourcesError():
            reason = "The database has no room left"
        case (
            asyncpg.QueryCanceledError()
            | asyncpg.LockNotAvailableError()
            | asyncpg.SerializationError()
            | asyncpg.DeadlockDetectedError()
        ):
            reason = "The database is too busy; try again"
        case TimeoutError():
            reason = "The database does not answer"
        case _ if is_lost(error):
            reason = "The database cannot be reached"
        case _:
            # A defect, of ours or of the database; its text may hold what was to be stored.
            _log.error("the database failed", error=type(error).__name__, sqlstate=getattr(error, "sqlstate", None))
            reason = "The database cannot be used"
    return ServiceUnavailable(reason)
