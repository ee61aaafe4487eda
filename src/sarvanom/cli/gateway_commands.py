"""What the commands have in common that manage keys and accounts through a gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import click
from pydantic import JsonValue

from sarvanom.cli.clients import explain, gateway_options
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import Page, PaginationParams, ResourceModel
from sarvanom.shared.models.key_models import Granted, Role

_PAGE: Final = 1000


def run_command(
    command: Callable[..., Coroutine[Any, Any, None]], url: str, *, api_key: str | None, **given: Any
) -> None:
    """Run a command against a gateway; a refusal ends it with a line that says why."""
    try:
        asyncio.run(command(url, api_key, **given))
    except SarvanOMError as error:
        raise click.ClickException(explain(url, error, api_key=api_key)) from None


async def echo_all[M: ResourceModel](
    read_page: Callable[[PaginationParams], Awaitable[Page[M]]], sort: str, line: Callable[[M], str]
) -> None:
    """Write a line for each item of a collection, read page by page."""
    cursor: str | None = None
    while True:
        page = await read_page(PaginationParams(limit=_PAGE, cursor=cursor, sort=sort))
        for item in page.items:
            click.echo(line(item))
        cursor = page.next_cursor
        if cursor is None:
            return


def hint_at_nothing(granted: Granted) -> None:
    """Say so if somebody was made who may do nothing."""
    if not granted.roles and not granted.scopes:
        click.echo("It may do nothing yet: no --role and no --scope was given.", err=True)


def gateway_command(name: str, callback: Callable[..., None], *own: click.Parameter) -> click.Command:
    """Return a command that takes, beside its own parameters, which gateway is meant."""
    return click.Command(name, params=[*own, *gateway_options()], callback=callback, help=callback.__doc__)


def grant_options() -> list[click.Option]:
    """Return the options that say what somebody may do."""
    return [
        click.Option(["--role"], multiple=True, type=click.Choice([role.value for role in Role])),
        click.Option(["--scope"], multiple=True, help="Such as users:read; can be given several times."),
        click.Option(["--bound-to"], multiple=True, help="A service that alone is seen; several times for several."),
        click.Option(["--service"], help="The service that owns it; left out, the only one that you are bound to."),
    ]


def granted_fields(given: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return what those options say, as fields of a key or an account."""
    fields: dict[str, JsonValue] = {
        "roles": list(given["role"]),
        "scopes": list(given["scope"]),
        "services": list(given["bound_to"]) or None,
    }
    return fields if given["service"] is None else fields | {"service": given["service"]}


def change_options() -> list[click.Option]:
    """Return the options that say what somebody may do from now on."""
    return [
        click.Option(
            ["--role"],
            multiple=True,
            type=click.Choice([role.value for role in Role]),
            help="What it may do from now on, with --scope: nothing else.",
        ),
        click.Option(["--scope"], multiple=True, help="Such as users:read; can be given several times."),
        click.Option(["--bound-to"], multiple=True, help="A service that alone is seen from now on."),
        click.Option(["--unbound"], is_flag=True, help="All services are seen from now on."),
    ]


def changed_fields(given: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return what those options say, as a merge patch; whatever was not given stays."""
    if given["unbound"] and given["bound_to"]:
        raise click.UsageError("--unbound and --bound-to exclude each other")
    changes: dict[str, JsonValue] = {}
    if given["role"] or given["scope"]:
        changes |= {"roles": list(given["role"]), "scopes": list(given["scope"])}
    if given["unbound"] or given["bound_to"]:
        changes["services"] = list(given["bound_to"]) or None
    return changes


def require_change(changes: Mapping[str, JsonValue]) -> None:
    """Refuse a command that would change nothing."""
    if not changes:
        raise click.UsageError("Say what is to be changed; --help lists the options")


def allowed(granted: Granted) -> tuple[str, str]:
    """Return what somebody may do, and for which services, as a line shows it."""
    services = "all services" if granted.services is None else ",".join(granted.services)
    return ",".join([*granted.roles, *granted.scopes]) or "nothing", services
