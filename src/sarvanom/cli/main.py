"""The command `sarvanom`."""

import sys
from importlib.metadata import version

import click

from sarvanom.cli.importing import import_command
from sarvanom.cli.services import crud_command, gateway_command
from sarvanom.cli.up import up_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(version("sarvanom"), prog_name="sarvanom")
def cli() -> None:
    """Keep the state of an LLM application: users, model configurations, datasets, settings and cached answers."""


for command in (up_command, gateway_command, crud_command, import_command):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 13):  # noqa: UP036 (a wheel can be forced onto an older Python)
        sys.exit("sarvanom needs Python 3.13 or newer")
    cli()
