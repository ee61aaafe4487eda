"""Flags derive from settings."""

from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sarvanom.cli.options import load_settings, settings_options
from sarvanom.settings import NOT_FLAGS, CrudSettings, GatewaySettings, ProcessSettings, UpSettings

CLASSES: list[type[ProcessSettings]] = [CrudSettings, GatewaySettings, UpSettings]


def run(settings: type[ProcessSettings], *arguments: str, **environment: str) -> tuple[Result, dict[str, Any]]:
    """Run a command that loads its settings; return its result, and the flags it was called with."""
    seen: dict[str, Any] = {}

    @click.command()
    @settings_options(settings)
    def command(**flags: Any) -> None:
        seen.update(flags)
        click.echo(load_settings(settings, flags).workers)

    return CliRunner(env=environment).invoke(command, arguments), seen


@pytest.mark.parametrize("settings", CLASSES)
def test_every_setting_is_a_flag_that_is_explained(settings: type[ProcessSettings]) -> None:
    text = " ".join(run(settings, "--help")[0].output.split())
    for name, field in settings.model_fields.items():
        if name in NOT_FLAGS:
            assert f"--{name.replace('_', '-')}" not in text
            continue
        assert f"--{name.replace('_', '-')} " in text
        assert f"[SARVANOM_{name.upper()}]" in text
        if field.default is not None:
            assert f"[default: {field.default}]" in text


def test_flags_stand_in_the_order_of_their_settings() -> None:
    output = run(CrudSettings, "--help")[0].output
    places = [
        output.index(f"--{name.replace('_', '-')}") for name in CrudSettings.model_fields if name not in NOT_FLAGS
    ]
    assert places == sorted(places)


def test_flag_that_was_not_given_leaves_the_other_sources_alone() -> None:
    result, flags = run(CrudSettings, "--crud-port", "9", SARVANOM_WORKERS="3")
    assert {name: value for name, value in flags.items() if value is not None} == {"crud_port": "9"}
    assert result.output == "3\n"


def test_flag_goes_before_the_environment() -> None:
    assert run(CrudSettings, "--workers", "5", SARVANOM_WORKERS="3")[0].output == "5\n"


def test_a_switch_is_a_flag_without_a_value() -> None:
    assert run(CrudSettings, "--dev")[1]["dev"] is True
    assert run(CrudSettings)[1]["dev"] is None


def test_bad_value_is_one_line_and_a_failure() -> None:
    result, _ = run(CrudSettings, "--crud-port", "x")
    assert result.exit_code == 1
    assert result.output.startswith("Error: SARVANOM_CRUD_PORT=x: input should be a valid integer")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(("flag", "choices"), [("--log-level", "debug"), ("--log-format", "console")])
def test_choice_is_offered_where_there_are_few(flag: str, choices: str) -> None:
    result, _ = run(CrudSettings, flag, "loud")
    assert result.exit_code == 2
    assert choices in result.output
