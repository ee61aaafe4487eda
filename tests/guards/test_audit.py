"""The audit finds what it is there to find, and says so when it could not look."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.guards import audit
from tests.harness.system import free_port

OWN = audit.ROOT / ".bootstrap" / "bin" / "uv"
VULNERABLE = {"id": "PYSEC-0000-1", "modified": "2026-01-01T00:00:00Z", "summary": "a made-up one", "affected": []}


@pytest.fixture(scope="module")
def uv() -> str:
    """The uv of the project, or the one on the path."""
    found = str(OWN) if OWN.exists() else shutil.which("uv")
    assert found, "`make sync` installs uv"
    return found


@contextmanager
def serving(*, vulnerable: bool) -> Iterator[str]:
    """A database of vulnerabilities that knows of one in the first package it is asked for, or of none."""

    class Database(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            results: list[dict[str, Any]] = [{} for _ in asked]
            if vulnerable:
                results[0] = {"vulns": [{"id": VULNERABLE["id"], "modified": VULNERABLE["modified"]}]}
            self._answer({"results": results})

        def do_GET(self) -> None:
            self._answer(VULNERABLE)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("vulnerable", "status", "said"), [(True, 1, "PYSEC-0000-1"), (False, 0, "no known vuln")])
def test_vulnerability_fails_the_audit(
    uv: str, capsys: pytest.CaptureFixture[str], *, vulnerable: bool, status: int, said: str
) -> None:
    with serving(vulnerable=vulnerable) as url:
        assert audit.main([uv, "--service-url", url]) == status
    assert said in capsys.readouterr().out


def test_database_that_cannot_be_reached_is_said_loudly(
    uv: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert audit.main([uv, "--service-url", f"http://127.0.0.1:{free_port()}"]) == 0
    assert "NOT AUDITED" in capsys.readouterr().out


def test_bill_names_every_locked_package(uv: str, tmp_path: Path) -> None:
    assert audit.write_bill(uv, tmp_path / "dist" / "bill.json") == set()
    billed = audit.billed_packages((tmp_path / "dist" / "bill.json").read_text())
    assert {"pydantic-core", "uvicorn", "hypothesis"} <= {name for name, _ in billed}


def test_package_that_the_bill_lacks_is_missed() -> None:
    component = {"name": "a", "version": "1", "purl": "pkg:pypi/a@1", "externalReferences": [{"hashes": [{}]}]}
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]}
    lock = "".join(
        f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ {source} = "." }}\n'
        for name, source in (("a", "registry"), ("b", "registry"), ("own", "editable"))
    )
    assert audit.billed_packages(json.dumps(bill)) == {("a", "1")}
    assert audit.locked_packages(lock) == {("a", "1"), ("b", "1")}
    component["externalReferences"] = []
    assert audit.billed_packages(json.dumps(bill)) == set()
    with pytest.raises(ValueError, match="no bill of materials"):
        audit.billed_packages(json.dumps(bill | {"bomFormat": "SPDX"}))
