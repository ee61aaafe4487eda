"""The `export` command: what it writes where, and that nothing half done takes a file's name."""

import io
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sarvanom.cli.exporting import export_command, make_export_command
from sarvanom.shared.errors import ServiceUnavailable
from tests.unit.cli.conftest import MemoryStore

type Run = Callable[..., Result]

WHOLE = b'{"format":"sarvanom-export","version":1,"revision":3,...}\n{"end":true,"items":0}\n'


@pytest.fixture
def run(store: MemoryStore) -> Run:
    command = make_export_command(lambda _url, _api_key: store)
    return lambda *arguments: CliRunner().invoke(command, arguments)


@pytest.fixture
def broken(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the export end in the midst of it."""

    async def export() -> AsyncIterator[bytes]:
        yield b"{}\n"
        raise ServiceUnavailable("The database is away")

    monkeypatch.setattr(store.archive, "export", export)


def test_it_explains_itself() -> None:
    result = CliRunner().invoke(export_command, ["--help"])
    assert result.exit_code == 0
    for words in ("[cache|users|models|datasets|settings]", "SARVANOM_URL", "SARVANOM_API_KEY", "--output"):
        assert words in result.stdout


def test_everything_goes_to_standard_output(run: Run) -> None:
    result = run()
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, WHOLE, "")


def test_one_collection_goes_to_standard_output(run: Run, store: MemoryStore) -> None:
    store.archive.text = [b"{}\n{}\n"]
    result = run("models")
    assert (result.exit_code, result.stdout_bytes, store.archive.collection) == (0, b"{}\n{}\n", "models")


def test_a_file_is_whole_its_owners_and_alone(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "all.ndjson"
    target.write_bytes(b"old")
    assert run("--output", str(target)).exit_code == 0
    assert target.read_bytes() == WHOLE
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("broken")
def test_an_export_that_breaks_off_leaves_what_was_there(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "all.ndjson"
    target.write_bytes(b"old")
    result = run("-o", str(target))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_export_without_its_end_is_refused(run: Run, store: MemoryStore, tmp_path: Path) -> None:
    del store.archive.text[1:]
    result = run("-o", str(tmp_path / "all.ndjson"))
    assert result.exit_code == 1
    assert "broke off before its end" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_and_stays_one(run: Run) -> None:
    assert run("-o", os.devnull).exit_code == 0
    assert not Path(os.devnull).is_file()


def test_a_link_is_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "all.ndjson")
    assert run("-o", str(tmp_path / "link")).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "all.ndjson").read_bytes() == WHOLE


def test_a_folder_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run("-o", str(tmp_path / "none" / "all.ndjson"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.endswith("No such file or directory\n")


def test_nobody_who_reads_on_is_no_traceback(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Closed()))
    with pytest.raises(SystemExit) as caught:
        make_export_command(lambda _url, _api_key: store).main([])
    assert caught.value.code == 1
    sys.stdout.close()


def test_a_bar_is_shown_on_a_terminal_only(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    store.archive.text = [b"{}\n" * 3]
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    command = make_export_command(lambda _url, _api_key: store)
    command.main(["settings", "-o", str(tmp_path / "out")], standalone_mode=False)
    assert "3/" in terminal.getvalue()
