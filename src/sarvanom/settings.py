"""The settings of each process: from flags, the environment, `.env`, `sarvanom.toml`, in this order.

Only `cli` and the two `main` modules import this; everything else is handed what it needs.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from sarvanom.security.issuer_urls import is_loopback
from sarvanom.setting_checks import (
    check_collector,
    check_each,
    check_issuers,
    check_public_url,
    check_secret,
    is_host,
    is_network,
    is_origin,
)

PREFIX = "SARVANOM_"
DOTENV_FILE = ".env"
TOML_FILE = "sarvanom.toml"
NOT_FLAGS = ("internal_secret", "admin_key", "metrics_token")
"""Settings that are never flags, because everybody on a machine can read its command lines."""
_SECRET = ("database_url", "valkey_url", "otlp_endpoint", "api_key", "master_keys", "master_key_command", *NOT_FLAGS)
"""Settings that may hold a secret, and are not shown when they are refused."""
_POSTGRESQL = ("postgresql://", "postgres://")
_Port = Annotated[int, Field(ge=0, le=65535)]
_VALKEY = ("valkey://", "valkeys://", "redis://", "rediss://")
_Limit = Annotated[int, Field(ge=0, le=1_000_000_000)]
_ByteLimit = Annotated[int, Field(ge=0, le=2**40)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0.1, le=3600)]


class TLSFiles(NamedTuple):
    """PEM files: a certificate chain, its key, and the certificates by which callers prove themselves, if they must."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class BadSettings(Exception):
    """A setting cannot be used; the text says which and what would be right."""


class FileSettings(BaseSettings):
    """Settings and where they come from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=DOTENV_FILE,
        toml_file=TOML_FILE,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (Pydantic names it)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the TOML file below the environment."""
        try:
            toml_settings = TomlConfigSettingsSource(settings_cls)
        except (OSError, ValueError) as error:
            raise BadSettings(f"The file {TOML_FILE} cannot be read: {error}") from None
        return init_settings, env_settings, dotenv_settings, toml_settings

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Return the settings, those given first.

        Raises:
            BadSettings: one has a value that cannot be used.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            raise BadSettings("; ".join(_explain(found) for found in error.errors(include_url=False))) from None
        except (OSError, ValueError) as error:
            raise BadSettings(f"The file {DOTENV_FILE} cannot be read: {error}") from None

    def environment(self) -> dict[str, str]:
        """Return the settings as environment variables, for a child process."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {
            f"{PREFIX}{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }


class ClientSettings(FileSettings):
    """The settings of what calls the gateway."""

    url: str = "http://127.0.0.1:8000"
    """The gateway."""
    api_key: str | None = None
    """What the gateway knows the caller by."""
    admin_key: str | None = None
    """The first administrator's key, if it was set, for a gateway on this machine."""
    data_dir: Path = Path("data")
    """Where the first administrator key is, if the gateway is on this machine."""


class ProcessSettings(FileSettings):
    """What both services have in common."""

    dev: bool = False
    """Accept placeholder secrets, on a machine where nobody else is."""
    data_dir: Path = Path("data")
    """Folder of the embedded database, the first administrator key and the internal secret."""
    internal_secret: str | None = None
    """What gateway and crud know each other by, at least 32 characters; left out, a file in the data folder."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes of each service."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    log_format: Literal["console", "json"] | None = None
    """How it is logged: console on a terminal, else json."""
    log_sample: _Share = 1.0
    """The share of the requests that went well of which a line is logged; those that did not are always logged."""
    metrics_token: str | None = None
    """What a scraper reads /metrics with, at least 32 characters; left out, a file in the data folder."""
    otlp_endpoint: Annotated[str | None, AfterValidator(check_collector)] = None
    """Collector that traces are sent to by OTLP over HTTP, such as http://127.0.0.1:4318; left out, there are none."""
    trace_sample: _Share = 0.01
    """The share of traces that are recorded."""
    stop_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """How long requests under way may take when a service stops."""
    header_timeout: _Seconds = 20.0
    """Seconds that the head of a request may take."""
    body_timeout: _Seconds = 60.0
    """Seconds in which a body that is asked for must bring something, at least 256 bytes a second."""
    max_connections: Annotated[int, Field(ge=16, le=1_000_000)] = 10_000
    """Connections that each process of a service takes at once."""

    @model_validator(mode="after")
    def _real_secrets(self) -> Self:
        for name in NOT_FLAGS:
            check_secret(name, getattr(self, name, None), accepts_placeholders=self.dev)
        return self


class CrudSettings(ProcessSettings):
    """The settings of crud."""

    admin_key: str | None = None
    """The first administrator's key, sk- and at least 29 characters more; left out, made at the first start."""
    database_url: str | None = None
    """The database: postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE; left out, a file in the data folder."""
    database_connections: Annotated[int, Field(ge=6, le=10_000)] = 16
    """Connections to PostgreSQL that all workers of this crud may have together; at least 6 for each."""
    master_keys: Annotated[str | None, Field(repr=False)] = None
    """The keys that seal secrets, separated by commas: the first seals, all of them open. Not a flag."""
    master_keys_file: Path | None = None
    """The file that holds them; left out, master-keys in the data folder, made at the first start on an SQLite file."""
    master_key_command: str | None = None
    """A command that prints them, such as one that asks a key management service; run at the start."""
    history_seconds: Annotated[float, Field(ge=1, le=100 * 365 * 86_400)] | None = None
    """How long changes are kept; left out, for ever."""
    history_changes: Annotated[int, Field(ge=1)] | None = None
    """How many changes are kept, the newest; left out, all."""
    refresh_idle_seconds: Annotated[int, Field(ge=60, le=365 * 86_400)] = 7 * 86_400
    """How long a login lasts while its refresh token is not used."""
    refresh_seconds: Annotated[int, Field(ge=60, le=10 * 365 * 86_400)] = 30 * 86_400
    """How long a login lasts in any case."""
    password_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Passwords that each process of crud compares at once, 19 MiB and a thread for each."""
    idempotency_seconds: Annotated[float, Field(ge=1, le=30 * 86_400)] = 86_400.0
    """How long an Idempotency-Key is remembered."""
    crud_host: str = "127.0.0.1"
    """Address that crud listens on."""
    crud_port: _Port = 8001
    """Port that crud listens on."""
    crud_tls_certificate: Path | None = None
    """PEM file of crud's certificate chain; with it crud speaks TLS alone."""
    crud_tls_key: Path | None = None
    """PEM file of its private key."""
    crud_tls_client_ca: Path | None = None
    """PEM file of the certificates by which gateways prove themselves; others are turned away."""

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is None or url.startswith(_POSTGRESQL):
            return url
        if not (url.startswith("sqlite:///") and len(url) > len("sqlite:///")):
            raise ValueError("must be postgresql://USER:PASSWORD@HOST/NAME, or sqlite:/// and a file")
        if ":memory:" in url:
            raise ValueError("must name a file; a database in memory would be another one for each connection")
        return url

    @model_validator(mode="after")
    def _whole_crud_tls(self) -> Self:
        _check_pair(self, "crud_tls_certificate", "crud_tls_key")
        if self.crud_tls_client_ca is not None and self.crud_tls_certificate is None:
            raise ValueError("SARVANOM_CRUD_TLS_CLIENT_CA needs SARVANOM_CRUD_TLS_CERTIFICATE")
        return self

    @property
    def crud_tls(self) -> TLSFiles | None:
        """The files of crud's TLS."""
        if self.crud_tls_certificate is None or self.crud_tls_key is None:
            return None
        return TLSFiles(self.crud_tls_certificate, self.crud_tls_key, self.crud_tls_client_ca)

    @model_validator(mode="after")
    def _enough_connections(self) -> Self:
        if self.database.startswith(_POSTGRESQL) and self.connections_per_worker < 6:
            raise ValueError(
                f"SARVANOM_DATABASE_CONNECTIONS={self.database_connections}: must be at least 6 for each of the "
                f"{self.workers} workers, which is {6 * self.workers}"
            )
        return self

    @property
    def connections_per_worker(self) -> int:
        """How many connections one process may have."""
        return self.database_connections // self.workers

    @property
    def database(self) -> str:
        """The URL of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'sarvanom.db'}"


class GatewaySettings(ProcessSettings):
    """The settings of the gateway."""

    gateway_host: str = "127.0.0.1"
    """Address that the gateway listens on."""
    gateway_port: _Port = 8000
    """Port that the gateway listens on."""
    tls_certificate: Path | None = None
    """PEM file of the gateway's certificate chain; with it the gateway speaks TLS alone."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    max_connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Connections that each process takes from one address, or 64 bits of IPv6, that is no trusted proxy."""
    crud_urls: str = "http://127.0.0.1:8001"
    """Where crud is: URLs separated by commas, dns://HOST:PORT, or dns+srv://NAME."""
    crud_ca: Path | None = None
    """PEM file of the certificates by which crud proves itself; with it DNS names lead to TLS too."""
    hop_certificate: Path | None = None
    """PEM file of the certificate chain that the gateway shows crud."""
    hop_key: Path | None = None
    """PEM file of its private key."""
    upstream_timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds that crud may take for an answer."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=32 * 2**20)] = 10 * 2**20
    """The largest request body."""
    lease_seconds: Annotated[float, Field(ge=0.1, le=300)] = 5.0
    """How long the gateway believes what it has learned of a key or a login before it asks again."""
    public_url: str | None = None
    """The gateway's URL as its callers know it, which issues tokens; left out, where it listens, on the loopback."""
    token_audience: str | None = None
    """Whom access tokens are meant for; left out, the public URL."""
    token_seconds: Annotated[int, Field(ge=10, le=86_400)] = 900
    """How long an access token is good."""
    oidc_issuers: str | None = None
    """Issuers of tokens that are trusted, a JSON list of objects with name, issuer, audience and roles."""
    trusted_hosts: str | None = None
    """Names by which the gateway may be called, separated by commas; *.example.org and * are allowed.

    Left out, the loopback's names if the gateway listens there, else any.
    """
    trusted_proxies: str | None = None
    """Addresses of proxies whose X-Forwarded headers are believed, separated by commas."""
    trace_follow_callers: bool = False
    """Record the traces that callers record, whatever their share; for callers that are trusted."""
    cors_origins: str | None = None
    """Origins of web pages that may call the API, separated by commas."""
    valkey_url: str | None = None
    """Where all gateways count together: valkey://USER:PASSWORD@HOST:PORT/NUMBER; left out, each counts alone."""
    limit_reads_per_minute: _Limit = 6000
    """Requests of one principal in a minute that read; 0 is any number."""
    limit_writes_per_minute: _Limit = 3000
    """Requests of one principal in a minute that write; 0 is any number."""
    limit_bulk_per_minute: _Limit = 120
    """Imports, exports and watches that one principal begins in a minute; 0 is any number."""
    limit_auth_per_minute: _Limit = 60
    """Requests for tokens of one principal or address in a minute; 0 is any number."""
    limit_anonymous_per_minute: _Limit = 600
    """Requests in a minute of one address that has not said who it is; 0 is any number."""
    limit_probes_per_minute: _Limit = 3000
    """Requests of one address in a minute to /health, /ready and /version; 0 is any number."""
    limit_bytes_per_minute: _ByteLimit = 2**30
    """Bytes of request bodies that one caller sends in a minute; 0 is any number."""
    limit_concurrent: _Limit = 128
    """Requests of one caller at once; 0 is any number."""
    limit_streams: _Limit = 32
    """Imports, exports and watches of one caller at once; 0 is any number."""

    @field_validator("valkey_url")
    @classmethod
    def _known_valkey(cls, url: str | None) -> str | None:
        if url is not None and not any(url.startswith(scheme) and len(url) > len(scheme) for scheme in _VALKEY):
            raise ValueError("must be valkey://USER:PASSWORD@HOST:PORT/NUMBER, or valkeys://, redis://, rediss://")
        return url

    @model_validator(mode="after")
    def _bodies_within_limits(self) -> Self:
        if 0 < self.limit_bytes_per_minute < self.max_body_bytes:
            raise ValueError(
                f"SARVANOM_LIMIT_BYTES_PER_MINUTE={self.limit_bytes_per_minute}: must be 0, or at least "
                f"SARVANOM_MAX_BODY_BYTES, which is {self.max_body_bytes}: a larger body could never be sent"
            )
        return self

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        _check_pair(self, "tls_certificate", "tls_key")
        _check_pair(self, "hop_certificate", "hop_key")
        return self

    @property
    def tls(self) -> TLSFiles | None:
        """The files of the gateway's TLS."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TLSFiles(self.tls_certificate, self.tls_key)

    inspection_strict: Literal["off", "detect", "block"] = "block"
    """What is done about names, identifiers and query values that look like an attack."""
    inspection_free: Literal["off", "detect", "block"] = "detect"
    """What is done about answers, prompts, descriptions and settings that look like one."""

    @field_validator("public_url")
    @classmethod
    def _issuer_url(cls, url: str | None) -> str | None:
        return check_public_url(url)

    @field_validator("token_audience")
    @classmethod
    def _plain_audience(cls, value: str | None) -> str | None:
        if value is not None and not (1 <= len(value) <= 512 and value.isascii() and value.isprintable()):
            raise ValueError("must be 1 to 512 characters of printable ASCII")
        return value

    @field_validator("oidc_issuers", mode="before")
    @classmethod
    def _trusted_issuers(cls, value: object) -> object:
        return check_issuers(value)

    @property
    def issuer(self) -> str:
        """The URL in whose name access tokens are issued."""
        if self.public_url is not None:
            return self.public_url
        host = self.gateway_host if is_loopback(self.gateway_host) else "localhost"
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.gateway_port}"

    @field_validator("trusted_hosts")
    @classmethod
    def _hosts(cls, value: str | None) -> str | None:
        return check_each(value, is_host, "host names such as app.example.org, *.example.org or *")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str | None) -> str | None:
        return check_each(value, is_origin, "origins such as https://app.example.org, or *")

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str | None) -> str | None:
        return check_each(value, is_network, "addresses or networks such as 10.0.0.1 or 10.0.0.0/8, or *")


class UpSettings(GatewaySettings, CrudSettings):
    """The settings of both services in one."""


def _check_pair(settings: ProcessSettings, certificate: str, key: str) -> None:
    if (getattr(settings, certificate) is None) != (getattr(settings, key) is None):
        raise ValueError(f"{PREFIX}{certificate.upper()} and {PREFIX}{key.upper()} need each other")


def _explain(found: Any) -> str:
    name = ".".join(str(part) for part in found["loc"])
    message = found["msg"].removeprefix("Value error, ")
    if not name:
        return str(message)
    given = "***" if name in _SECRET else str(found["input"])
    return f"{PREFIX}{name.upper()}={given}: {message[0].lower()}{message[1:]}"
