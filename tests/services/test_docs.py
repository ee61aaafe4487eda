"""The gateway's documentation works, and without a word to any other host."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from httpx2 import Client

from tests.harness.system import RunningProcess

CHROMIUM = "/usr/bin/chromium"
NAMED = re.compile(r"""(?:src|href)\s*=\s*["']([^"']+)["']""")
URL = re.compile(r"(?:https?|wss?):?//[^\s\"'<>;,)]+", re.IGNORECASE)


def test_the_document_is_openapi_3_1(gateway: Client) -> None:
    answer = gateway.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document = answer.json()
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "SarvanOM"
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) == 56
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]


def test_every_reference_in_the_document_leads_somewhere(gateway: Client) -> None:
    text = gateway.get("/openapi.json").text
    components = gateway.get("/openapi.json").json()["components"]
    referenced = re.findall(r'"\$ref":"#/components/([^"/]+)/([^"/]+)"', text)
    assert len(referenced) == text.count('"$ref"')
    assert {kind for kind, _ in referenced} == {"schemas", "headers"}
    assert [(kind, name) for kind, name in referenced if name not in components[kind]] == []


@pytest.mark.parametrize("path", ["/health", "/users", "/users/nobody", "/cache-stats"])
def test_answers_have_the_headers_that_the_document_says_all_have(gateway: Client, path: str) -> None:
    declared = gateway.get("/openapi.json").json()["components"]["headers"]
    assert declared
    assert [name for name in declared if name not in gateway.get(path).headers] == []


def test_everything_that_the_page_names_comes_from_the_gateway(gateway: Client) -> None:
    page = gateway.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = NAMED.findall(page.text)
    assert len(named) >= 4
    for name in named:
        assert not urlsplit(name).netloc
        asset = gateway.get(urljoin("/docs", name))
        assert asset.status_code == 200
        assert asset.content
        assert asset.headers["x-content-type-options"] == "nosniff"


def test_no_other_host_is_named_by_page_script_or_policy(gateway: Client) -> None:
    page = gateway.get("/docs")
    assert URL.findall(page.text) == []
    assert URL.findall(gateway.get("/docs/assets/init.js").text) == []
    assert URL.findall(gateway.get("/openapi.json").text.replace("https://example.org", "")) == []
    policy = page.headers["content-security-policy"]
    assert URL.findall(policy) == []
    sources = {source for directive in policy.split(";") for source in directive.split()[1:]}
    assert sources <= {"'self'", "'none'", "data:"}


def test_a_browser_that_has_the_page_is_told_so(gateway: Client) -> None:
    for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
        first = gateway.get(path)
        again = gateway.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert gateway.head(path).headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("name", ["../docs.py", "..%2fdocs.py", "nothing.js", "", "%00", "oauth2.js"])
def test_no_other_file_is_served(gateway: Client, name: str) -> None:
    assert gateway.get(f"/docs/assets/{name}").status_code == 404


def test_crud_has_no_documentation_of_its_own(clients: dict[str, Client]) -> None:
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert clients["crud"].get(path).status_code == 404


@pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason=f"there is no {CHROMIUM}")
def test_a_browser_shows_the_operations(system: RunningProcess, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{system.gateway_url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    dom = ran.stdout
    paths = httpx2.get(f"{system.gateway_url}/openapi.json").json()["paths"]
    shown = set(re.findall(r'data-path="([^"]+)"', dom))
    assert {"/users", "/users/{user_id}", "/cache", "/cache-stats", "/ready"} <= shown
    assert len(re.findall(r'class="opblock opblock-', dom)) == sum(map(len, paths.values()))
    assert "Failed to load" not in dom
    refused = [line for line in ran.stderr.splitlines() if "CONSOLE" in line and "Content Security Policy" in line]
    assert refused == []
