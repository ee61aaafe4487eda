"""The `import` command: what it prints, and its exit status."""

import asyncio
import io
import json
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sarvanom.cli.importers.registry import IMPORTERS
from sarvanom.cli.importing import import_command, make_import_command
from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ServiceUnavailable
from sarvanom.shared.models.crud_models import SystemSetting
from sarvanom.shared.resources import RESOURCES

type Run = Callable[..., Result]

EMPTY_ENVIRONMENT = {"SARVANOM_URL": None, "SARVANOM_API_KEY": None}


def rows(count: int) -> bytes:
    names = [f"k{number}" for number in range(count)]
    return json.dumps([{"name": name, "setting": "on"} for name in names]).encode()


@pytest.fixture
def connections() -> list[tuple[str, str | None]]:
    """The URL and key of every connection made."""
    return []


@pytest.fixture
def run(store: CRUDServiceContract, connections: list[tuple[str, str | None]]) -> Run:
    def connect(url: str, api_key: str | None) -> CRUDServiceContract:
        connections.append((url, api_key))
        return store

    def invoke(*arguments: str, input: bytes = b"", **environment: str) -> Result:
        return CliRunner(env={**EMPTY_ENVIRONMENT, **environment}).invoke(
            make_import_command(connect), arguments, input=input
        )

    return invoke


def stored(store: CRUDServiceContract) -> list[SystemSetting]:
    async def read() -> list[SystemSetting]:
        return [item async for item in store.settings.iterate()]

    return asyncio.run(read())


def outcome(result: Result) -> tuple[int, str, str]:
    """Return the exit status, and the output with its times left out."""
    stdout = re.sub(r" in [\d.]+ s \([\d,]+/s\)", "", result.stdout)
    return result.exit_code, stdout, result.stderr


def test_every_importer_has_a_subcommand_with_help() -> None:
    assert import_command.name == "import"
    collections = [resource.collection for resource in RESOURCES if not resource.grants]
    assert [*import_command.commands] == [*(importer.name for importer in IMPORTERS), *collections, "all"]
    for importer in IMPORTERS:
        result = CliRunner().invoke(import_command, [importer.name, "--help"])
        assert result.exit_code == 0
        for words in (
            "SARVANOM_URL",
            "SARVANOM_API_KEY",
            "[error|skip|replace]",
            "http://127.0.0.1:8000",
            "default: error",
        ):
            assert words in " ".join(result.stdout.split())


def test_a_file_is_imported_for_a_service(
    run: Run,
    store: CRUDServiceContract,
    connections: list[tuple[str, str | None]],
    tmp_path: Path,
) -> None:
    (tmp_path / "rows.json").write_bytes(rows(3))
    result = run("postgres-settings", str(tmp_path / "rows.json"), "--service", "chat")
    summary = "settings: 3 created, 0 replaced, 0 skipped, 0 refused\n"
    assert outcome(result) == (0, summary, "")
    assert {item.service for item in stored(store)} == {"chat"}
    assert connections == [("http://127.0.0.1:8000", None)]


def test_the_summary_tells_seconds_and_speed(run: Run) -> None:
    result = run("postgres-settings", "-", input=rows(3))
    assert re.search(r"refused in \d+\.\d s \([\d,]+/s\)\n$", result.stdout)


def test_address_and_key_come_from_options_or_environment(run: Run, connections: list[tuple[str, str | None]]) -> None:
    environment = {"SARVANOM_URL": "https://env.example/", "SARVANOM_API_KEY": "k1"}
    run("postgres-settings", "-", input=rows(1), **environment)
    options = ("--url", "http://[::1]:9/base", "--api-key", "k2")
    run("postgres-settings", "-", *options, input=rows(1), **environment)
    assert connections == [("https://env.example", "k1"), ("http://[::1]:9/base", "k2")]


@pytest.mark.parametrize(
    ("on_conflict", "status", "counts"),
    [
        ("error", 1, "1 created, 0 replaced, 0 skipped, 2 refused"),
        ("skip", 0, "1 created, 0 replaced, 2 skipped, 0 refused"),
        ("replace", 0, "1 created, 2 replaced, 0 skipped, 0 refused"),
    ],
)
def test_taken_ids(run: Run, on_conflict: str, status: int, counts: str) -> None:
    run("postgres-settings", "-", input=rows(2))
    result = run("postgres-settings", "-", "--on-conflict", on_conflict, input=rows(3))
    assert result.exit_code == status
    assert counts in result.stdout
    assert result.stdout.count("\n  refused k") == (2 if status else 0)


def test_only_the_first_refusals_are_listed(run: Run) -> None:
    run("postgres-settings", "-", input=rows(1200))
    status, stdout, stderr = outcome(run("postgres-settings", "-", input=rows(1200)))
    assert (status, stderr) == (1, "")
    lines = stdout.splitlines()
    assert lines[0] == "settings: 0 created, 0 replaced, 0 skipped, 1,200 refused"
    assert lines[1].startswith("  refused k0: There is already a setting with this id")
    assert (len(lines), lines[-1]) == (12, "  and 1,190 more")


@pytest.mark.parametrize(
    ("importer", "text", "message"),
    [
        ("litellm", b"", "standard input: is empty; JSON is expected"),
        ("litellm", b"{", "standard input: is not JSON: "),
        ("datapackage", b"{}", "standard input: must be a data package"),
        (
            "postgres-settings",
            b'[{"name": "a", "setting": "1"}, {"name": "\\u001b[2J", "setting": ""}]',
            r'standard input: row 2 ("\u001b[2J"): name: must be 1 to 255 letters',
        ),
    ],
)
def test_a_bad_file_is_one_line_and_sends_nothing(
    run: Run,
    connections: list[tuple[str, str | None]],
    importer: str,
    text: bytes,
    message: str,
) -> None:
    status, stdout, stderr = outcome(run(importer, "-", input=text))
    assert (status, stdout, connections) == (1, "", [])
    assert stderr.startswith(f"Error: {message}")
    assert stderr.count("\n") == 1
    assert stderr.strip().isprintable()


LINES = b'{"setting_key":"a","setting_value":1}\n\n{bad\n{"setting_key":"b","setting_value":[2]}'


@pytest.mark.parametrize("from_file", [True, False])
def test_lines_of_json_are_imported_each_for_itself(
    run: Run, store: CRUDServiceContract, tmp_path: Path, from_file: bool
) -> None:
    (tmp_path / "lines.ndjson").write_bytes(LINES)
    result = run("settings", str(tmp_path / "lines.ndjson")) if from_file else run("settings", "-", input=LINES)
    status, stdout, stderr = outcome(result)
    assert (status, stderr) == (1, "")
    summary, refusal = stdout.splitlines()
    assert summary == "settings: 2 created, 0 replaced, 0 skipped, 1 refused"
    assert refusal.startswith("  refused line 3: The body is not valid JSON")
    assert {item.setting_key: item.setting_value for item in stored(store)} == {"a": 1, "b": [2]}


def test_lines_again_are_skipped_as_they_are_told(run: Run) -> None:
    run("settings", "-", input=LINES.replace(b"{bad", b""))
    result = run("settings", "-", "--on-conflict", "skip", input=LINES.replace(b"{bad", b""))
    assert outcome(result) == (0, "settings: 0 created, 0 replaced, 2 skipped, 0 refused\n", "")


@pytest.mark.usefixtures("away")
def test_lines_tell_where_the_gateway_gave_up(run: Run) -> None:
    lines = b"\n".join(b'{"setting_key":"k%d","setting_value":0}' % number for number in range(5))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        result = run("settings", "-", "--url", url, input=lines)
    status, stdout, stderr = outcome(result)
    assert (status, stderr) == (1, f"Error: {url} gave up at line 3: No crud service is ready\n")
    assert stdout.startswith("settings: 2 created, 0 replaced, 0 skipped, 0 refused, ")


def test_a_file_that_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    assert outcome(run("litellm", str(missing))) == (
        1,
        "",
        f"Error: {missing}: No such file or directory\n",
    )
    assert outcome(run("litellm", str(tmp_path))) == (
        1,
        "",
        f"Error: {tmp_path}: Is a directory\n",
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--url", "localhost:8000"),
        ("--url", "ftp://x"),
        ("--url", "http://"),
        ("--url", "http://x:99999"),
        ("--url", "http://[x"),
        ("--api-key", "a\nb"),
        ("--api-key", "é"),
        ("--service", ""),
        ("--service", "a\nb"),
        ("--on-conflict", "merge"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_sent(
    run: Run, connections: list[tuple[str, str | None]], options: tuple[str, str]
) -> None:
    status, _, stderr = outcome(run("postgres-settings", "-", *options, input=rows(1)))
    assert (status, connections) == (2, [])
    assert f"Invalid value for '{options[0]}'" in stderr
    if options[0] == "--api-key":
        assert options[1] not in stderr


@pytest.fixture
def away(store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store take two settings and then go away."""
    create = store.settings.create

    async def create_two(item: SystemSetting) -> SystemSetting:
        if item.setting_key in ("k0", "k1"):
            return await create(item)
        raise ServiceUnavailable("No crud service is ready")

    monkeypatch.setattr(store.settings, "create", create_two)


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_bytes(rows(5))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        arguments = ["postgres-settings", str(tmp_path / "rows.json"), "--url", url]
        result = CliRunner(env=EMPTY_ENVIRONMENT).invoke(import_command, arguments)
    message = f"Error: Nothing answers at {url}; start it with `sarvanom up`\n"
    assert outcome(result) == (1, "", message)


@pytest.mark.usefixtures("away")
def test_a_gateway_that_is_not_ready(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        result = run("postgres-settings", "-", "--url", url, input=rows(5))
    assert outcome(result) == (
        1,
        "settings: 2 created, 0 replaced, 0 skipped, 0 refused, 3 unconfirmed\n",
        f"Error: {url} gave up at k2: No crud service is ready\n",
    )


def test_interrupting_tells_what_was_done(
    run: Run, store: CRUDServiceContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = store.settings.create

    async def create_some(item: SystemSetting) -> SystemSetting:
        if item.setting_key == "k7":
            signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        return await create(item)

    monkeypatch.setattr(store.settings, "create", create_some)
    result = run("postgres-settings", "-", input=rows(100))
    status, stdout, stderr = outcome(result)
    assert (status, stderr) == (130, "")
    done = len(stored(store))
    assert 7 <= done < 100
    assert stdout == (f"settings: {done} created, 0 replaced, 0 skipped, 0 refused, {100 - done} unconfirmed\n")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_shown_on_a_terminal_only(
    store: CRUDServiceContract,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run("postgres-settings", "-", input=rows(3)).stderr == ""

    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    (tmp_path / "rows.json").write_bytes(rows(7))
    make_import_command(lambda _url, _api_key: store).main(
        ["postgres-settings", str(tmp_path / "rows.json"), "--on-conflict", "skip"],
        standalone_mode=False,
    )
    assert "7/7" in terminal.getvalue()
    assert "4 created, 0 replaced, 3 skipped" in capsys.readouterr().out
