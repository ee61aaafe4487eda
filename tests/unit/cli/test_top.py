"""The command `top` before it has anything to look at."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sarvanom.cli.top import top_command

HERE = ("--url", "http://127.0.0.1:9", "--crud-urls", "http://127.0.0.1:9", "--interval", "0.5", "--once")
TOKEN = "scraper-Q7wT3nB9vK5xR1mZ8cF4hJ6pL2dS0gYa-tests"


def run(folder: Path, *arguments: str, token: str | None = None) -> Result:
    environment = {"SARVANOM_DATA_DIR": str(folder), "SARVANOM_METRICS_TOKEN": token}
    return CliRunner(env=environment).invoke(top_command, arguments, prog_name="sarvanom top")


def test_it_explains_itself(tmp_path: Path) -> None:
    result = run(tmp_path, "--help")
    assert result.exit_code == 0
    for words in ("SARVANOM_URL", "SARVANOM_CRUD_URLS", "SARVANOM_METRICS_TOKEN", "--interval", "--once", "estimates"):
        assert words in result.stdout


@pytest.mark.parametrize("interval", ["0", "0.4", "61", "nan", "inf", "x"])
def test_an_interval_that_cannot_be_is_refused(tmp_path: Path, interval: str) -> None:
    result = run(tmp_path, *HERE, "--interval", interval)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--interval" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "has no `metrics-token`: run it in the folder of `sarvanom up`, or set SARVANOM_DATA_DIR"),
        (("--url", "http://10.0.0.1:9"), "there was no token: set SARVANOM_METRICS_TOKEN"),
        (("--crud-urls", "ftp://x"), "'ftp://x' is neither a list of"),
        (("--crud-urls", "https://x:1", "--crud-ca", "nothing.pem"), "nothing.pem cannot be used"),
    ],
)
def test_what_it_cannot_read_by_is_told_in_a_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(tmp_path, *HERE, *arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert said in result.stderr


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics-token").write_text(TOKEN)
    (tmp_path / "metrics-token").chmod(0o644)
    result = run(tmp_path, *HERE)
    assert (result.exit_code, "chmod 600" in result.stderr, TOKEN in result.output) == (1, True, False)


def test_a_token_that_is_none_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, *HERE, token="short")
    assert (result.exit_code, "SARVANOM_METRICS_TOKEN=***" in result.stderr) == (1, True)


def test_where_nothing_is_that_is_what_it_shows(tmp_path: Path) -> None:
    result = run(tmp_path, *HERE, token=TOKEN)
    assert (result.exit_code, result.stderr) == (1, "")
    for service in ("gateway", "crud"):
        assert f"{service} at http://127.0.0.1:9 is away since " in result.stdout
