"""`sarvanom keys`: make, list, rotate and revoke API keys."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import click
from pydantic import JsonValue

from sarvanom.cli.clients import connect_keys, explain, gateway_options, one_line
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import PaginationParams
from sarvanom.shared.models.key_models import MAX_OVERLAP_SECONDS, ApiKey, IssuedApiKey, Role

_PAGE: Final = 1000
_ID: Final = click.Argument(["key_id"])


async def _create(url: str, api_key: str | None, fields: dict[str, JsonValue]) -> None:
    async with connect_keys(url, api_key) as keys:
        _tell(await keys.create(**fields))  # type: ignore[arg-type]


async def _list(url: str, api_key: str | None) -> None:
    async with connect_keys(url, api_key) as keys:
        cursor: str | None = None
        while True:
            page = await keys.list(PaginationParams(limit=_PAGE, cursor=cursor, sort="name"))
            for key in page.items:
                click.echo(_line(key))
            cursor = page.next_cursor
            if cursor is None:
                return


async def _rotate(url: str, api_key: str | None, key_id: str, overlap_seconds: int) -> None:
    async with connect_keys(url, api_key) as keys:
        _tell(await keys.rotate(key_id, overlap_seconds=overlap_seconds))


async def _revoke(url: str, api_key: str | None, key_id: str) -> None:
    async with connect_keys(url, api_key) as keys:
        await keys.revoke(key_id)
    click.echo(f"{key_id} is revoked; every gateway refuses it within its lease.", err=True)


def _tell(issued: IssuedApiKey) -> None:
    """Write the key to standard output and everything else beside it, so that it can be piped to where it is kept."""
    click.echo(f"{issued.key_id} ({one_line(issued.name)}); the key is told once:", err=True)
    click.echo(issued.key)


def _line(key: ApiKey) -> str:
    allowed = ",".join([*key.roles, *key.scopes]) or "nothing"
    services = "all services" if key.services is None else ",".join(key.services)
    ends = "never ends" if key.expires_at is None else f"ends {key.expires_at.isoformat()}"
    return one_line("  ".join((key.key_id, key.hint + "…", key.name, allowed, services, ends)))


def _run(command: Callable[..., Coroutine[Any, Any, None]], url: str, **given: Any) -> None:
    try:
        asyncio.run(command(url, **given))
    except SarvanOMError as error:
        raise click.ClickException(explain(url, error)) from None


def _create_command(url: str, api_key: str | None, expires_at: str | None, **fields: Any) -> None:
    """Make a key called NAME and write it to standard output, once."""
    given = {
        "name": fields["name"],
        "roles": list(fields["role"]),
        "scopes": list(fields["scope"]),
        "services": list(fields["bound_to"]) or None,
        "expires_at": expires_at,
    }
    _run(_create, url, api_key=api_key, fields=given)


def _list_command(url: str, **given: Any) -> None:
    """List the keys, by name; what they are is not known here."""
    _run(_list, url, **given)


def _rotate_command(url: str, **given: Any) -> None:
    """Make a new text for a key and write it to standard output, once."""
    _run(_rotate, url, **given)


def _revoke_command(url: str, **given: Any) -> None:
    """End a key at once."""
    _run(_revoke, url, **given)


def _command(name: str, callback: Callable[..., None], *own: click.Parameter) -> click.Command:
    return click.Command(name, params=[*own, *gateway_options()], callback=callback, help=callback.__doc__)


keys_command: Final = click.Group(
    "keys",
    help="Make, list, rotate and revoke API keys.",
    commands=[
        _command(
            "create",
            _create_command,
            click.Argument(["name"]),
            click.Option(["--role"], multiple=True, type=click.Choice([role.value for role in Role])),
            click.Option(["--scope"], multiple=True, help="Such as users:read; can be given several times."),
            click.Option(
                ["--bound-to"], multiple=True, help="A service that alone is seen; several times for several."
            ),
            click.Option(["--expires-at"], help="When it ends: 2027-01-31T12:00:00Z."),
        ),
        _command("list", _list_command),
        _command(
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
        _command("revoke", _revoke_command, _ID),
    ],
)
