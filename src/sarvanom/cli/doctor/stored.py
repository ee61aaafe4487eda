"""What is to be seen of the database: its schema, its connections, its revisions, and the keys in it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sarvanom.backends.storage.contract import ServerRoom
from sarvanom.backends.storage.schema import HEAD
from sarvanom.cli.doctor.asking import Reported
from sarvanom.cli.doctor.findings import Finding, ok, problem, skipped, unknown
from sarvanom.shared.models.key_models import ApiKey
from sarvanom.web.health_models import DatabaseReport, HealthReport

NO_REPORT: Final = "no crud tells of its database"
SOON: Final = timedelta(days=14)
_MIGRATE: Final = "run `sarvanom migrate` with the settings of crud, then restart crud"
_NAMED: Final = 3


class Seen(NamedTuple):
    """The database as the settings of this machine lead to it; `error` says why it could not be read."""

    schema: str | None = None
    room: ServerRoom | None = None
    error: str = ""
    needed: int = 0
    """How many connections the cruds that the settings name may open."""


def check_migrations(reported: Reported, seen: Seen | None) -> Finding:
    """Tell whether the schema is the one that the code needs: as crud says, or as the settings lead to it."""
    databases = databases_of(reported.report)
    if databases:
        wrong = [one for one in databases.values() if one.schema_version != one.newest_schema_version]
        if not wrong:
            return ok(
                "migrations", f"the database has schema {next(iter(databases.values())).schema_version}, the newest"
            )
        found = f"the database has schema {wrong[0].schema_version}, and crud needs {wrong[0].newest_schema_version}"
        return problem("migrations", found, _MIGRATE)
    if seen is None:
        return skipped("migrations", NO_REPORT)
    if seen.error:
        return problem(
            "migrations", seen.error, "see that SARVANOM_DATABASE_URL names the right database, and that it runs"
        )
    if seen.schema != HEAD and seen.room is None:
        return ok(
            "migrations", f"the SQLite file has schema {seen.schema or 'none yet'}; crud migrates it when it starts"
        )
    if seen.schema is None:
        return problem("migrations", "the database is empty", _MIGRATE)
    if seen.schema != HEAD:
        return problem("migrations", f"the database has schema {seen.schema}, and this version needs {HEAD}", _MIGRATE)
    return ok("migrations", f"the database has schema {HEAD}, the newest")


def check_revisions(first: Reported, second: Reported) -> Finding:
    """Tell whether any crud is behind another: after one has shown a revision, every one must."""
    before, after = databases_of(first.report), databases_of(second.report)
    if not after:
        return skipped("revisions", NO_REPORT)
    newest = max((one.revision for one in before.values()), default=0)
    behind = {url: newest - one.revision for url, one in after.items() if one.revision < newest}
    if behind:
        said = ", ".join(f"crud at {url} is {lag:,} revisions behind" for url, lag in behind.items())
        advice = "give every crud the same SARVANOM_DATABASE_URL: they seem to keep their data in different places"
        return problem("revisions", said, advice)
    silent = [one.url for one in second.report.instances if one.url not in after] if second.report else []
    if silent:
        return unknown("revisions", f"crud at {', '.join(silent)} does not say", "see what the checks above say")
    revision = max(one.revision for one in after.values())
    return ok(
        "revisions", f"at {revision:,}, and no crud of {len(after)} is behind" if len(after) > 1 else f"at {revision:,}"
    )


def check_connections(reported: Reported, seen: Seen | None) -> Finding:
    """Tell whether PostgreSQL lets all workers of all cruds open what they may."""
    databases = list(databases_of(reported.report).values())
    if databases:
        rooms = [
            ServerRoom(one.server_connections, one.server_connections_open or 0)
            for one in databases
            if one.server_connections
        ]
        needed, room = sum(one.connections or 0 for one in databases), rooms[0] if rooms else None
        if room is None:
            return skipped("connections", "SQLite bounds none")
        silent = len(reported.report.instances) - len(databases) if reported.report else 0
        if silent:
            return unknown(
                "connections", f"{silent} crud do not say how many they may open", "see what the checks above say"
            )
    elif seen is None or seen.error:
        return skipped("connections", NO_REPORT if seen is None else "the database could not be asked")
    elif seen.room is None:
        return skipped("connections", "SQLite bounds none")
    else:
        needed, room = seen.needed, seen.room
    found = f"all cruds may open {needed}, PostgreSQL gives {room.most} in all, and {room.open} are open"
    if needed <= room.most:
        return ok("connections", found)
    advice = (
        f"raise max_connections of PostgreSQL by {needed - room.most} or more, "
        "or lower SARVANOM_DATABASE_CONNECTIONS of each crud, 6 for each worker at least"
    )
    return problem("connections", found, advice)


def check_keys(keys: Sequence[ApiKey], now: datetime | None = None) -> Finding:
    """Tell which API keys end soon."""
    now = now or datetime.now(UTC)
    ending = (
        sorted(
            (key.expires_at, key) for key in keys if key.expires_at is not None and now < key.expires_at <= now + SOON
        )
        if keys
        else []
    )
    if not ending:
        return ok("keys", f"none of {len(keys):,} ends within {SOON.days} days")
    named = ", ".join(f"{key.key_id} ({key.name}) {end.isoformat(timespec='minutes')}" for end, key in ending[:_NAMED])
    more = f", and {len(ending) - _NAMED:,} more" if len(ending) > _NAMED else ""
    advice = (
        f"`sarvanom keys change {ending[0][1].key_id} --expires-at {(now + timedelta(days=365)):%Y-%m-%dT%H:%M:%SZ}`, "
    )
    return problem(
        "keys", f"end within {SOON.days} days: {named}{more}", advice + "or give who uses it a new one before"
    )


def databases_of(report: HealthReport | None) -> Mapping[str, DatabaseReport]:
    """Return what each crud says of its database, by its URL."""
    if report is None:
        return {}
    return {
        one.url: one.report.database
        for one in report.instances
        if one.report is not None and one.report.database is not None
    }
