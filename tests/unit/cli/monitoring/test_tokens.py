"""Whose token is sent to whom."""

from pathlib import Path

import pytest

from sarvanom.backends.identity.secret_files import SecretFileRefused
from sarvanom.cli.monitoring.tokens import MetricsTokens

KEPT = "kept-Q7wT3nB9vK5xR1mZ8cF4hJ6pL2dS0gYa"
HERE = ["http://127.0.0.1:8000", "https://localhost", "http://[::1]:8001"]
THERE = ["http://10.0.0.1:8000", "https://api.example.org", "http://127.0.0.1.example.org"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metrics-token").write_text(KEPT + "\n")
    (tmp_path / "metrics-token").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("url", [*HERE, *THERE])
def test_what_was_set_is_sent_to_all(folder: Path, url: str) -> None:
    tokens = MetricsTokens("given", folder)
    assert tokens.find(url) == "given"
    assert tokens.origin(url) == "the token was that of SARVANOM_METRICS_TOKEN"


@pytest.mark.parametrize("url", HERE)
def test_that_of_the_folder_is_sent_to_this_machine(folder: Path, url: str) -> None:
    tokens = MetricsTokens(None, folder)
    assert tokens.find(url) == KEPT
    assert str(folder / "metrics-token") in tokens.origin(url)


@pytest.mark.parametrize("url", THERE)
def test_that_of_the_folder_is_sent_to_no_other_machine(folder: Path, url: str) -> None:
    tokens = MetricsTokens(None, folder)
    assert tokens.find(url) is None
    assert "set SARVANOM_METRICS_TOKEN" in tokens.origin(url)


def test_a_folder_without_a_token_is_named(tmp_path: Path) -> None:
    tokens = MetricsTokens(None, tmp_path)
    assert tokens.find(HERE[0]) is None
    assert f"{tmp_path} has no `metrics-token`" in tokens.origin(HERE[0])
    assert list(tmp_path.iterdir()) == []  # it is for services to make one


def test_a_file_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / "metrics-token").chmod(0o644)
    with pytest.raises(SecretFileRefused, match="chmod 600"):
        MetricsTokens(None, folder)
    assert MetricsTokens("given", folder).find(HERE[0]) == "given"
