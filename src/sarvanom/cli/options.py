"""Command-line flags derived from settings: each setting is a flag of the same name."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from sarvanom.settings import NOT_FLAGS, PREFIX, BadSettings, FileSettings, ProcessSettings


def settings_options[F: Callable[..., Any]](
    settings: type[ProcessSettings], *, without: Sequence[str] = (), only: Sequence[str] | None = None
) -> Callable[[F], F]:
    """Decorate a command with one flag per setting; what was not given is None and left to the other sources.

    Secrets are no flags.
    """

    def decorate(function: F) -> F:
        chosen = settings.model_fields if only is None else only
        fields = {name: settings.model_fields[name] for name in chosen if name not in (*without, *NOT_FLAGS)}
        for name, field in reversed(fields.items()):
            function = _option(name, field)(function)
        return function

    return decorate


def load_settings[S: FileSettings](settings: type[S], flags: dict[str, Any]) -> S:
    """Return the settings, flags first; a bad one ends the command with a line that says what would be right."""
    try:
        return settings.load(**{name: value for name, value in flags.items() if value is not None})
    except BadSettings as error:
        raise click.ClickException(str(error)) from None


def _option[F: Callable[..., Any]](name: str, field: FieldInfo) -> Callable[[F], F]:
    flag = f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.option(flag, name, help=_help(name, field), is_flag=True, default=None)
    return click.option(flag, name, help=_help(name, field), type=_type(field))


def _help(name: str, field: FieldInfo) -> str:
    description = (field.description or "").rstrip(".")
    default = "" if field.default is None else f" [default: {field.default}]"
    return f"{description}.{default} [{PREFIX}{name.upper()}]"


def _type(field: FieldInfo) -> click.ParamType[Any] | type[str]:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if get_origin(candidate) is Literal:
            return click.Choice(_texts(get_args(candidate)))
    return str


def _texts(values: Sequence[Any]) -> list[str]:
    return [str(value) for value in values]
