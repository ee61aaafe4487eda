"""Settings: where they come from, in which order, and what is said of a bad one."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.setting_checks import split_list
from sarvanom.settings import (
    PREFIX,
    BadSettings,
    CrudSettings,
    GatewaySettings,
    ProcessSettings,
    UpSettings,
)

CLASSES: list[type[ProcessSettings]] = [CrudSettings, GatewaySettings, UpSettings]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in UpSettings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    return tmp_path


def test_defaults_are_those_of_the_design() -> None:
    loaded = UpSettings.load()
    assert (loaded.gateway_host, loaded.gateway_port) == ("127.0.0.1", 8000)
    assert (loaded.crud_host, loaded.crud_port) == ("127.0.0.1", 8001)
    assert loaded.crud_urls == "http://127.0.0.1:8001"
    assert (loaded.data_dir, loaded.database) == (Path("data"), "sqlite:///data/sarvanom.db")
    assert (loaded.workers, loaded.log_level, loaded.log_format) == (1, "info", None)
    assert loaded.max_body_bytes == 10 * 2**20


def test_sources_come_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sarvanom.toml").write_text("crud_port = 1\nworkers = 1\nlog_level = 'error'\nstop_seconds = 1.5\n")
    (folder / ".env").write_text("SARVANOM_CRUD_PORT=2\nSARVANOM_WORKERS=2\nSARVANOM_LOG_LEVEL=debug\nOTHER=x\n")
    monkeypatch.setenv("SARVANOM_CRUD_PORT", "3")
    monkeypatch.setenv("sarvanom_workers", "3")
    monkeypatch.setenv("SARVANOM_NOTHING", "3")
    loaded = CrudSettings.load(crud_port=4)
    assert (loaded.crud_port, loaded.workers, loaded.log_level, loaded.stop_seconds) == (4, 3, "debug", 1.5)


@pytest.mark.parametrize(
    "url",
    ["sqlite:///here.db", "sqlite:////var/lib/s.db", "sqlite:///a/../b?c", "postgresql://u:p@db/s", "postgres://db/s"],
)
def test_database_url_goes_before_the_data_folder(url: str) -> None:
    assert CrudSettings.load(database_url=url, data_dir="elsewhere").database == url


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "here.db", "mysql://u:hunter2@db/s", "SQLITE:///a"])
def test_other_databases_are_refused_with_what_would_be_right(url: str) -> None:
    right = "must be postgresql://USER:PASSWORD@HOST/NAME, or sqlite:/// and a file"
    with pytest.raises(BadSettings, match=right) as e:
        CrudSettings.load(database_url=url)
    assert "hunter2" not in str(e.value)


@pytest.mark.parametrize(
    "url",
    ["valkey://db", "valkeys://u:p@db:6380/1", "redis://:p@db", "rediss://db"],
)
def test_valkey_may_be_redis(url: str) -> None:
    assert GatewaySettings.load(valkey_url=url).valkey_url == url


@pytest.mark.parametrize("url", ["", "valkey://", "db:6379", "http://:hunter2@db", "unix:///hunter2"])
def test_what_is_no_valkey_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadSettings, match=r"SARVANOM_VALKEY_URL=\*\*\*: must be valkey://USER:PASSWORD@HOST") as caught:
        GatewaySettings.load(valkey_url=url)
    assert "hunter2" not in str(caught.value)


def test_a_body_that_may_be_sent_at_all_may_be_sent_within_the_limit() -> None:
    assert GatewaySettings.load(limit_bytes_per_minute=0).limit_bytes_per_minute == 0
    assert GatewaySettings.load(limit_bytes_per_minute=4096, max_body_bytes=4096).max_body_bytes == 4096
    with pytest.raises(BadSettings, match=r"SARVANOM_LIMIT_BYTES_PER_MINUTE=4095: must be 0, or at least .* 4096"):
        UpSettings.load(limit_bytes_per_minute=4095, max_body_bytes=4096)


@pytest.mark.parametrize(("workers", "connections", "each"), [(1, 6, 6), (2, 13, 6), (4, 64, 16)])
def test_workers_share_the_connections(workers: int, connections: int, each: int) -> None:
    given = {"database_url": "postgresql://db/s", "workers": workers, "database_connections": connections}
    assert CrudSettings.load(**given).connections_per_worker == each
    with pytest.raises(BadSettings, match=rf"at least 6 for each of the {connections} workers"):
        CrudSettings.load(**given | {"workers": connections})


def test_workers_on_a_file_need_no_connections() -> None:
    assert CrudSettings.load(workers=64).workers == 64


@pytest.mark.parametrize(
    ("settings_class", "name", "value", "hint"),
    [
        (CrudSettings, "crud_port", "eighty", "valid integer"),
        (CrudSettings, "crud_port", "65536", "less than or equal to 65535"),
        (CrudSettings, "crud_port", "-1", "greater than or equal to 0"),
        (CrudSettings, "workers", "0", "greater than or equal to 1"),
        (CrudSettings, "workers", "65", "less than or equal to 64"),
        (CrudSettings, "log_level", "loud", "'debug', 'info', 'warning' or 'error'"),
        (CrudSettings, "log_format", "xml", "'console' or 'json'"),
        (CrudSettings, "stop_seconds", "0", "greater than 0"),
        (GatewaySettings, "upstream_timeout", "601", "less than or equal to 600"),
        (GatewaySettings, "max_body_bytes", "1023", "greater than or equal to 1024"),
        (GatewaySettings, "limit_reads_per_minute", "-1", "greater than or equal to 0"),
        (GatewaySettings, "limit_concurrent", "many", "valid integer"),
    ],
)
def test_bad_setting_is_named_as_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, settings_class: type[ProcessSettings], name: str, value: str, hint: str
) -> None:
    variable = f"{PREFIX}{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as caught:
        settings_class.load()
    assert str(caught.value).startswith(f"{variable}={value}: input should be")
    assert hint in str(caught.value)
    monkeypatch.delenv(variable)
    with pytest.raises(BadSettings, match=variable):
        settings_class.load(**{name: value})


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(BadSettings, match=r"SARVANOM_WORKERS=0: .*; SARVANOM_CRUD_PORT=x: "):
        CrudSettings.load(workers=0, crud_port="x")


@pytest.mark.parametrize("text", [b"crud_port = ", b"= 1", b"\xff"])
def test_file_that_cannot_be_read_is_said_to_be_so(folder: Path, text: bytes) -> None:
    (folder / "sarvanom.toml").write_bytes(text)
    with pytest.raises(BadSettings, match=r"sarvanom\.toml cannot be read"):
        CrudSettings.load()


def test_unknown_settings_in_a_file_are_other_processes_business(folder: Path) -> None:
    (folder / "sarvanom.toml").write_text("gateway_port = 9\nfuture = true\n")
    assert CrudSettings.load().crud_port == 8001
    assert GatewaySettings.load().gateway_port == 9


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(CrudSettings.load(), "workers", 2)  # noqa: B010 (mypy knows that it is read-only)


@pytest.mark.parametrize("settings_class", CLASSES)
def test_every_setting_is_described(settings_class: type[ProcessSettings]) -> None:
    assert all(field.description for field in settings_class.model_fields.values())


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=10)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "workers": st.integers(1, 64),
    "log_level": st.sampled_from(["debug", "info", "warning", "error"]),
    "log_format": st.sampled_from([None, "console", "json"]),
    "stop_seconds": st.floats(0, 300, exclude_min=True),
    "data_dir": PLAIN.map(Path),
    "database_url": st.none() | PLAIN.map(lambda file: f"sqlite:///{file}"),
    "crud_port": st.integers(0, 65535),
    "valkey_url": st.none() | st.sampled_from(["valkey://:secret@db/1", "rediss://db"]),
    "limit_writes_per_minute": st.integers(0, 10**9),
    "gateway_host": PLAIN,
    "trusted_hosts": st.none() | st.sampled_from(["*", "a.example,*.b.example", "[::1]"]),
    "cors_origins": st.none() | st.sampled_from(["*", "https://a.example,http://b.example:8080"]),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
@settings(deadline=None)
def test_child_process_has_the_settings_of_its_parent(given: dict[str, Any]) -> None:
    parent = UpSettings.load(**given)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in parent.environment().items():
            environment.setenv(name, value)
        assert UpSettings.load() == parent


def test_environment_leaves_out_what_is_not_set() -> None:
    environment = CrudSettings.load(workers=3).environment()
    assert environment["SARVANOM_WORKERS"] == "3"
    assert "SARVANOM_DATABASE_URL" not in environment
    assert all(isinstance(value, str) for value in environment.values())


@pytest.mark.parametrize(
    ("text", "items"), [(None, []), ("", []), (" , ,", []), ("a", ["a"]), ("a, b ,c", ["a", "b", "c"]), ("*", ["*"])]
)
def test_list_is_split_at_commas(text: str | None, items: list[str]) -> None:
    assert split_list(text) == items


@pytest.mark.parametrize(
    ("settings_class", "given", "said"),
    [
        (GatewaySettings, {"tls_key": "a"}, "SARVANOM_TLS_CERTIFICATE and SARVANOM_TLS_KEY need each other"),
        (GatewaySettings, {"hop_certificate": "a"}, "SARVANOM_HOP_CERTIFICATE and SARVANOM_HOP_KEY need each other"),
        (CrudSettings, {"crud_tls_certificate": "a"}, "SARVANOM_CRUD_TLS_KEY need each other"),
        (CrudSettings, {"crud_tls_client_ca": "a"}, "CLIENT_CA needs SARVANOM_CRUD_TLS_CERTIFICATE"),
        (UpSettings, {"crud_tls_client_ca": "a", "tls_certificate": "b", "tls_key": "c"}, "CLIENT_CA needs"),
        (UpSettings, {"header_timeout": 0}, "greater than or equal to 0.1"),
        (UpSettings, {"max_connections": 1}, "greater than or equal to 16"),
    ],
)
def test_half_of_tls_and_times_of_nothing_are_refused(
    settings_class: type[ProcessSettings], given: dict[str, object], said: str
) -> None:
    with pytest.raises(BadSettings, match=said):
        settings_class.load(**given)


def test_files_of_tls_stand_together() -> None:
    assert UpSettings.load().tls is None
    assert UpSettings.load().crud_tls is None
    loaded = UpSettings.load(
        tls_certificate="a", tls_key="b", crud_tls_certificate="c", crud_tls_key="d", crud_tls_client_ca="e"
    )
    assert loaded.tls == (Path("a"), Path("b"), None)
    assert loaded.crud_tls == (Path("c"), Path("d"), Path("e"))


@pytest.mark.parametrize(
    ("given", "issuer"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"gateway_port": 9000}, "http://127.0.0.1:9000"),
        ({"gateway_host": "::1"}, "http://[::1]:8000"),
        ({"gateway_host": "0.0.0.0"}, "http://localhost:8000"),
        ({"gateway_host": "10.1.2.3", "tls_certificate": "c.pem", "tls_key": "k.pem"}, "https://localhost:8000"),
        ({"public_url": "https://api.example.org/"}, "https://api.example.org/"),
    ],
)
def test_tokens_are_issued_in_the_name_of_the_public_url(given: dict[str, Any], issuer: str) -> None:
    assert GatewaySettings.load(**given).issuer == issuer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "http://api.example.org"),
        ("public_url", "https://api.example.org?x"),
        ("public_url", "nonsense"),
        ("token_audience", ""),
        ("token_audience", "ä"),
        ("token_seconds", 0),
        ("token_seconds", 86_401),
        ("oidc_issuers", "nonsense"),
    ],
)
def test_settings_of_tokens_that_cannot_be_used_are_refused(name: str, value: Any) -> None:
    with pytest.raises(BadSettings, match=f"SARVANOM_{name.upper()}="):
        GatewaySettings.load(**{name: value})


def test_outside_issuers_are_json_or_tables(folder: Path) -> None:
    (folder / "sarvanom.toml").write_text(
        '[[oidc_issuers]]\nname = "main"\nissuer = "https://sso.example.org"\naudience = "sarvanom"\n'
        'roles = { "sarvanom-admin" = "admin" }\n'
    )
    loaded = UpSettings.load()
    assert loaded.oidc_issuers is not None
    again = loaded.environment()["SARVANOM_OIDC_ISSUERS"]
    assert GatewaySettings.load(oidc_issuers=again).oidc_issuers == loaded.oidc_issuers


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4318", "https://otel.example.org/v1/collector/", "http://[::1]:4318", "http://collector"]
)
def test_traces_go_to_a_url(url: str) -> None:
    assert GatewaySettings.load(otlp_endpoint=url).otlp_endpoint == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "collector:4318",
        "ftp://c",
        "http://c:99999",
        "http://*.c",
        "http://*",
        "http://::::",
        "http://[::::]",
        "http://c:0",
        "http://",
        "http://c/a b",
        "http://u:hunter2@c",
        "http://c/?key=hunter2",
        "http://c#hunter2",
    ],
)
def test_what_is_no_collectors_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(BadSettings) as refused:
        GatewaySettings.load(otlp_endpoint=url)
    assert "SARVANOM_OTLP_ENDPOINT=***" in str(refused.value)
    assert "hunter2" not in str(refused.value)
