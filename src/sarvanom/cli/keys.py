"""`sarvanom keys`: make, list, rotate and revoke API keys."""

from typing import Any, Final

import click
from pydantic import JsonValue

from sarvanom.cli.clients import connect_client, one_line
from sarvanom.cli.gateway_commands import allowed, gateway_command, grant_options, granted_fields, run_command
from sarvanom.shared.models.crud_models import PaginationParams
from sarvanom.shared.models.key_models import MAX_OVERLAP_SECONDS, ApiKey, IssuedApiKey

_PAGE: Final = 1000
_ID: Final = click.Argument(["key_id"])


async def _create(url: str, api_key: str | None, fields: dict[str, JsonValue]) -> None:
    async with connect_client(url, api_key) as client:
        _tell(await client.keys.create(**fields))  # type: ignore[arg-type]


async def _list(url: str, api_key: str | None) -> None:
    async with connect_client(url, api_key) as client:
        cursor: str | None = None
        while True:
            page = await client.keys.list(PaginationParams(limit=_PAGE, cursor=cursor, sort="name"))
            for key in page.items:
                click.echo(_line(key))
            cursor = page.next_cursor
            if cursor is None:
                return


async def _rotate(url: str, api_key: str | None, key_id: str, overlap_seconds: int) -> None:
    async with connect_client(url, api_key) as client:
        _tell(await client.keys.rotate(key_id, overlap_seconds=overlap_seconds))


async def _revoke(url: str, api_key: str | None, key_id: str) -> None:
    async with connect_client(url, api_key) as client:
        await client.keys.revoke(key_id)
    click.echo(f"{key_id} is revoked; every gateway refuses it within its lease.", err=True)


def _tell(issued: IssuedApiKey) -> None:
    """Write the key to standard output and everything else beside it, so that it can be piped to where it is kept."""
    click.echo(f"{issued.key_id} ({one_line(issued.name)}); the key is told once:", err=True)
    click.echo(issued.key)


def _line(key: ApiKey) -> str:
    ends = "never ends" if key.expires_at is None else f"ends {key.expires_at.isoformat()}"
    return one_line("  ".join((key.key_id, key.hint + "…", key.name, *allowed(key), ends)))


def _create_command(url: str, api_key: str | None, expires_at: str | None, **fields: Any) -> None:
    """Make a key called NAME and write it to standard output, once."""
    given = {"name": fields["name"], **granted_fields(fields), "expires_at": expires_at}
    run_command(_create, url, api_key=api_key, fields=given)


def _list_command(url: str, **given: Any) -> None:
    """List the keys, by name; what they are is not known here."""
    run_command(_list, url, **given)


def _rotate_command(url: str, **given: Any) -> None:
    """Make a new text for a key and write it to standard output, once."""
    run_command(_rotate, url, **given)


def _revoke_command(url: str, **given: Any) -> None:
    """End a key at once."""
    run_command(_revoke, url, **given)


keys_command: Final = click.Group(
    "keys",
    help="Make, list, rotate and revoke API keys.",
    commands=[
        gateway_command(
            "create",
            _create_command,
            click.Argument(["name"]),
            *grant_options(),
            click.Option(["--expires-at"], help="When it ends: 2027-01-31T12:00:00Z."),
        ),
        gateway_command("list", _list_command),
        gateway_command(
            "rotate",
            _rotate_command,
            _ID,
            click.Option(
                ["--overlap-seconds"],
                type=click.IntRange(0, MAX_OVERLAP_SECONDS),
                default=86_400,
                show_default=True,
                help="How long the key of before stays valid.",
            ),
        ),
        gateway_command("revoke", _revoke_command, _ID),
    ],
)
