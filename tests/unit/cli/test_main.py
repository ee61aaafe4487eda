"""The command line as a whole: which commands there are, and that they load when asked for."""

import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from sarvanom.cli import main as main_module
from sarvanom.cli.main import cli, main

COMMANDS = [
    *(
        "up",
        "gateway",
        "crud",
        "migrate",
        "promote",
        "keys",
        "accounts",
        "import",
        "export",
        "secrets",
        "top",
        "doctor",
    ),
]


def test_help_lists_the_commands_in_the_order_of_a_first_walk() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    commands = output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands if line.startswith("  ")] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: cli {command}")


def test_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli, ["fly"])
    assert (result.exit_code, "No such command 'fly'" in result.output) == (2, True)


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"sarvanom, version {version('sarvanom')}\n"


def test_main_runs_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["sarvanom", "--version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert (caught.value.code, capsys.readouterr().out) == (0, f"sarvanom, version {version('sarvanom')}\n")


def test_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 9))
    with pytest.raises(SystemExit, match=r"needs Python 3\.13 or newer"):
        main()


def test_command_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(name: str) -> object:
        asked.append(name)
        return type("Module", (), {"up_command": click.Command("up")})

    monkeypatch.setattr(main_module, "import_module", note)
    context = click.Context(cli)
    assert cli.list_commands(context) == COMMANDS
    assert asked == []
    command = cli.get_command(context, "up")
    assert command is not None
    assert (command.name, asked) == ("up", ["sarvanom.cli.up"])
