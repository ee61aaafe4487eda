"""README's commands, run as they stand there one after the other, say what README says that they do."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.system import RunningProcess
from tests.services.commands import running

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
WALK = README[README.index("## Start") : README.index("## More than one machine")]
BLOCKS = re.findall(r"^```console\n(.*?)^```$", WALK, re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PASSWORD = "correct horse battery staple"
END = "---- the end of a step ----"
VARYING = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b[0-9a-f]{32}\b", "REQUEST"),
    (r"key-[0-9A-Za-z]{16}\b", "KEY"),
    (r"in [\d.]+ s \(\d+/s\)", "SPEED"),
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProcess]:
    """What `make up` starts in a folder that looks like the project's."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").mkdir(mode=0o700)
    for name in (".venv", "tests"):
        (folder / name).symlink_to(ROOT / name)
    with running(RunningProcess(("up",), folder / "data", is_given_identity=False)) as system:
        yield system


def plain(text: str) -> str:
    """Return the text without white space, and without what is another each time."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return re.sub(r"\s+", "", text)


def holds(said: str, expected: str) -> bool:
    """Tell whether what was said has the pieces between the dots, in their order."""
    pattern = ".*".join(re.escape(piece) for piece in re.split(r"\.{3}", plain(expected)))
    return re.match(pattern, plain(said)) is not None


def step(command: str, port: int) -> str:
    """Return a command for a port of its own, with a password typed, and a watch that ends."""
    command = re.sub(r"(localhost|127\.0\.0\.1):8000", f"127.0.0.1:{port}", command)
    if "event-stream" in command:
        return f"timeout 3 {command}"
    return f"{command} 2>&1 <<<'{PASSWORD}'" if "sarvanom" in command else command


def test_the_walk_does_what_it_says(fresh: RunningProcess) -> None:
    commands = [found for block in BLOCKS for found in COMMAND.findall(block) if not found[0].startswith("make ")]
    assert len(commands) == 17
    script = "".join(f"{step(command, fresh.gateway_port)}\necho '{END}'\n" for command, _ in commands)
    ran = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=fresh.data_dir.parent,
        env={"PATH": "/usr/bin:/bin", "SARVANOM_URL": fresh.gateway_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for (command, expected), said in zip(commands, ran.stdout.split(END), strict=False):
        wanted = re.sub(r"^(Password|Repeat for confirmation):\n", "", expected, flags=re.MULTILINE)
        assert holds(said, wanted), f"$ {command}\n{said}\n--- but README says\n{wanted}"
