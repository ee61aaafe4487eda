"""The command `sarvanom`."""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Final

import click

_COMMANDS: Final[Mapping[str, str]] = {
    "up": "sarvanom.cli.up:up_command",
    "gateway": "sarvanom.cli.services:gateway_command",
    "crud": "sarvanom.cli.services:crud_command",
    "migrate": "sarvanom.cli.migration:migrate_command",
    "promote": "sarvanom.cli.promotion:promote_command",
    "keys": "sarvanom.cli.keys:keys_command",
    "accounts": "sarvanom.cli.accounts:accounts_command",
    "import": "sarvanom.cli.importing:import_command",
    "export": "sarvanom.cli.exporting:export_command",
    "secrets": "sarvanom.cli.secrets:secrets_command",
    "top": "sarvanom.cli.top:top_command",
    "doctor": "sarvanom.cli.doctor.command:doctor_command",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, so that each starts as fast as it can."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click names it)
        """Return the names of the commands, in the order of a first walk."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click names it)
        """Return the command called `cmd_name`, if there is one."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(version("sarvanom"), prog_name="sarvanom")
def cli() -> None:
    """Keep the state of an LLM application: users, model configurations, datasets, settings and cached answers."""


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 13):  # noqa: UP036 (a wheel can be forced onto an older Python)
        sys.exit("sarvanom needs Python 3.13 or newer")
    cli()
