"""`sarvanom accounts`: who logs in with a password; made, listed, changed and ended."""

import sys
from typing import Any, Final

import click
from pydantic import JsonValue
from pydantic_core import to_json

from sarvanom.cli.clients import connect_client, one_line
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
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.resources import ACCOUNTS, check_id
from sarvanom.shared.validation import parse_model

_NAME: Final = click.Argument(["name"])


async def _create(url: str, api_key: str | None, fields: dict[str, JsonValue]) -> None:
    check_id(ACCOUNTS, str(fields["account_id"]))
    account = parse_model(ACCOUNTS.write_model, to_json(fields))
    async with connect_client(url, api_key) as client:
        made = await client.accounts.create(account)
    click.echo(f"{one_line(made.account_id)} can log in.", err=True)
    hint_at_nothing(made)


async def _list(url: str, api_key: str | None) -> None:
    async with connect_client(url, api_key) as client:
        await echo_all(client.accounts.list, "account_id", _line)


async def _change(url: str, api_key: str | None, name: str, changes: dict[str, JsonValue], said: str) -> None:
    async with connect_client(url, api_key) as client:
        await client.accounts.patch(name, changes)
    click.echo(f"{one_line(name)} {said}", err=True)


async def _delete(url: str, api_key: str | None, name: str) -> None:
    async with connect_client(url, api_key) as client:
        await client.accounts.delete(name)
    click.echo(f"{one_line(name)} is deleted; every gateway refuses its tokens within its lease.", err=True)


def _line(account: Account) -> str:
    return one_line("  ".join((account.account_id, *allowed(account), "disabled" if account.disabled else "enabled")))


def _read_password() -> str:
    """Return a password that is typed twice, or the first line of standard input: never an argument, which all see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _create_command(url: str, api_key: str | None, **fields: Any) -> None:
    """Make an account that logs in as NAME; its password is asked for, or is the first line of standard input."""
    given = {"account_id": fields["name"], "password": _read_password(), **granted_fields(fields)}
    run_command(_create, url, api_key=api_key, fields=given)


def _list_command(url: str, **given: Any) -> None:
    """List the accounts, by name."""
    run_command(_list, url, **given)


def _change_command(url: str, api_key: str | None, name: str, **fields: Any) -> None:
    """Change what an account may do and for which services, and end what was logged in; what is not given stays."""
    changes = changed_fields(fields)
    require_change(changes)
    run_command(_change, url, api_key=api_key, name=name, changes=changes, said="is changed, and is logged out.")


def _password_command(url: str, **given: Any) -> None:
    """Give an account another password, and end what was logged in with it."""
    changes = {"password": _read_password()}
    run_command(_change, url, changes=changes, said="has another password, and is logged out.", **given)


def _disable_command(url: str, **given: Any) -> None:
    """Let nobody log in with an account, and end what was logged in with it."""
    run_command(_change, url, changes={"disabled": True}, said="is disabled, and is logged out.", **given)


def _enable_command(url: str, **given: Any) -> None:
    """Let an account that was disabled log in again."""
    run_command(_change, url, changes={"disabled": False}, said="can log in.", **given)


def _logout_command(url: str, **given: Any) -> None:
    """End what was logged in with an account, and change nothing else."""
    run_command(
        _change, url, changes={}, said="is logged out; every gateway refuses its tokens within its lease.", **given
    )


def _delete_command(url: str, **given: Any) -> None:
    """Delete an account, and end what was logged in with it."""
    run_command(_delete, url, **given)


accounts_command: Final = click.Group(
    "accounts",
    help="Make, list, change, disable and delete the accounts that log in with a password.",
    commands=[
        gateway_command("create", _create_command, _NAME, *grant_options()),
        gateway_command("list", _list_command),
        gateway_command("change", _change_command, _NAME, *change_options()),
        gateway_command("password", _password_command, _NAME),
        gateway_command("disable", _disable_command, _NAME),
        gateway_command("enable", _enable_command, _NAME),
        gateway_command("logout", _logout_command, _NAME),
        gateway_command("delete", _delete_command, _NAME),
    ],
)
