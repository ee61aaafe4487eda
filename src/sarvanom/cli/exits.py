"""How a command ends that cannot do what it was asked for."""

from typing import Final

import click

CANNOT_START: Final = 78
"""The exit status of a service that refuses to start: EX_CONFIG of sysexits(3)."""

NOT_WELL: Final = 1
"""The exit status of `sarvanom doctor` if something is not as it should be, or could not be looked at."""


class CannotStart(click.ClickException):
    """A service cannot start; the text says why and what would be right."""

    exit_code = CANNOT_START
