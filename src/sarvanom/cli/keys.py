"""`sarvanom keys`: make, list, change, rotate and revoke API keys."""

from typing import Any, Final

import click
from pydantic import JsonValue

from sarvanom.backends.identity.secret_files import ADMIN_KEY, read_secret, replace_secret
from sarvanom.cli.clients import connect_client, is_loopback, one_line
from sarvanom.cli.gateway_commands import (
    allowed,
    change_options,
    changed_fields,
    echo_all,
    gateway_command,
    grant_options,
    granted_fields,
    hint_at_nothing,
    require_change,
    run_command,
)
from sarvanom.cli.options import load_settings
from sarvanom.security.api_keys import digest_of
from sarvanom.settings import ClientSettings
from sarvanom.shared.models.key_models import MAX_OVERLAP_SECONDS, ApiKey, IssuedApiKey

_ID: Final = click.Argument(["key_id"])


async def _create(url: str, api_key: str | None, fields: dict[str, JsonValue]) -> None:
    async with connect_client(url, api_key) as client:
        issued = await client.keys.create(**fields)  # type: ignore[arg-type]
    _tell(issued)
    hint_at_nothing(issued)


async def _list(url: str, api_key: str | None) -> None:
    async with connect_client(url, api_key) as client:
        await echo_all(client.keys.list, "name", _line)


async def _rotate(url: str, api_key: str | None, key_id: str, overlap_seconds: int) -> None:
    async with connect_client(url, api_key) as client:
        before = await client.keys.get(key_id)
        issued = await client.keys.rotate(key_id, overlap_seconds=overlap_seconds)
    _tell(issued)
    if is_loopback(url):
        _keep(issued, before.digest)


def _keep(issued: IssuedApiKey, digest: str) -> None:
    """Put a new key where the one before was: what the first start has made is found by the commands there."""
    file = load_settings(ClientSettings, {}).data_dir / ADMIN_KEY
    try:
        kept = read_secret(file)
        if kept is not None and digest_of(kept) == digest:
            replace_secret(file, issued.key)
            click.echo(f"{file} holds it now.", err=True)
    except OSError as error:
        click.echo(f"{file} may hold the key of before: {error}", err=True)


async def _change(url: str, api_key: str | None, key_id: str, changes: dict[str, JsonValue]) -> None:
    async with connect_client(url, api_key) as client:
        click.echo(_line(await client.keys.patch(key_id, changes)))


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
    """List the keys, by name: id, first characters, name, what it may do, for which services, and when it ends."""
    run_command(_list, url, **given)


def _change_command(url: str, api_key: str | None, key_id: str, **fields: Any) -> None:
    """Change what a key is called, may do, for which services, and when it ends; what is not given stays."""
    given = {name: fields[name] for name in ("name", "expires_at") if fields[name] is not None}
    changes = given | changed_fields(fields)
    require_change(changes)
    run_command(_change, url, api_key=api_key, key_id=key_id, changes=changes)


def _rotate_command(url: str, **given: Any) -> None:
    """Make a new text for a key and write it to standard output, once."""
    run_command(_rotate, url, **given)


def _revoke_command(url: str, **given: Any) -> None:
    """End a key at once."""
    run_command(_revoke, url, **given)


def _ends() -> click.Option:
    return click.Option(["--expires-at"], help="When it ends: 2027-01-31T12:00:00Z.")


keys_command: Final = click.Group(
    "keys",
    help="Make, list, change, rotate and revoke API keys.",
    commands=[
        gateway_command(
            "create",
            _create_command,
            click.Argument(["name"]),
            *grant_options(),
            _ends(),
        ),
        gateway_command("list", _list_command),
        gateway_command(
            "change", _change_command, _ID, click.Option(["--name"], help="What it is for."), *change_options(), _ends()
        ),
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
