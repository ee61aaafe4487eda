"""The `import all` command: a whole export goes out unaltered, anything else is refused before that."""

from collections.abc import AsyncIterable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sarvanom.cli.importing import make_import_command
from sarvanom.shared.errors import FieldError, StoreNotEmpty, ValidationFailed
from tests.unit.cli.conftest import MemoryStore

type Run = Callable[..., Result]

EXPORT = (
    b'{"format":"sarvanom-export"}\n' + b'{"resource":"users","item":{}}\n' * 20_000 + b'{"end":true,"items":20000}\n'
)


@pytest.fixture
def run(store: MemoryStore) -> Run:
    command = make_import_command(lambda _url, _api_key: store)

    def invoke(*arguments: str, input: bytes = b"") -> Result:
        return CliRunner().invoke(command, ["all", *arguments], input=input)

    return invoke


def test_an_export_is_sent_as_it_is(run: Run, store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_bytes(EXPORT)
    result = run(str(tmp_path / "all.ndjson"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Restored revision 1,234: 1 users, 2,345 models\n"
    assert store.archive.restored == EXPORT


def test_standard_input_is_sent_too(run: Run, store: MemoryStore) -> None:
    assert run("-", input=EXPORT).exit_code == 0
    assert store.archive.restored == EXPORT


@pytest.mark.parametrize("cut", [b"", EXPORT[:-1000], EXPORT.rstrip().rpartition(b"\n")[0] + b"\n"])
def test_a_truncated_file_is_refused_before_anything_is_sent(
    run: Run, store: MemoryStore, tmp_path: Path, cut: bytes
) -> None:
    (tmp_path / "all.ndjson").write_bytes(cut)
    result = run(str(tmp_path / "all.ndjson"))
    assert (result.exit_code, store.archive.restored) == (1, b"")
    assert result.stderr.endswith("is no whole export: the line that says that this is the end is missing\n")


def test_a_file_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run(str(tmp_path / "none"))
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path}/none: No such file or directory\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreNotEmpty("The store is in use"), "The store is in use"),
        (
            ValidationFailed("Line 7 of the export is not valid", errors=[FieldError("item.email", "Not one")]),
            "Line 7 of the export is not valid (item.email: Not one)",
        ),
    ],
)
def test_a_refusal_is_one_line(
    run: Run, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    async def restore(chunks: AsyncIterable[bytes]) -> None:
        raise error

    monkeypatch.setattr(store.archive, "restore", restore)
    result = run("-", input=EXPORT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: http://127.0.0.1:8000 refused: {said}\n"
