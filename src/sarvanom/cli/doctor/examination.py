"""The order of the checks, and what they are told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

from sarvanom.backends.storage.schema import IncompatibleDatabase
from sarvanom.cli.doctor.asking import (
    ASK_SECONDS,
    Clock,
    Greeting,
    Reported,
    State,
    greet,
    read_readiness,
    read_report,
)
from sarvanom.cli.doctor.findings import Finding, skipped, unknown
from sarvanom.cli.doctor.folders import check_disk, check_secret_files
from sarvanom.cli.doctor.services import (
    check_clocks,
    check_port,
    check_readiness,
    check_report,
    check_versions,
    check_workers,
)
from sarvanom.cli.doctor.stored import (
    Seen,
    check_connections,
    check_keys,
    check_migrations,
    check_revisions,
    databases_of,
)
from sarvanom.cli.monitoring.tokens import MetricsTokens
from sarvanom.cli.places import crud_urls
from sarvanom.services.crud.master_keys import FILE_NAME
from sarvanom.services.crud.storage import SQLITE, look_at
from sarvanom.settings import UpSettings
from sarvanom.shared.clients.crud_client import CRUDServiceClient
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.service_client import ServiceClientFactory
from sarvanom.shared.clients.source_urls import hop_context
from sarvanom.shared.errors import SarvanOMError
from sarvanom.shared.models.crud_models import PaginationParams
from sarvanom.shared.models.key_models import ApiKey
from sarvanom.web.health_models import Readiness

_PAGE: Final = 1000
_KEYS_SECONDS: Final = 10.0
type FindToken = Callable[[str], str | None]
_ELSEWHERE: Final = "the gateway is on another machine"


class Patient(NamedTuple):
    """What is examined; `settings` are None if the gateway is not on this machine, and they not its own."""

    url: str
    api_key: str | None
    used_key: str
    settings: UpSettings | None
    clock: Clock = time.time


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Yield what is found, as it is found; nothing is waited for longer than some seconds."""
    settings = patient.settings
    find_token = _token_finder(settings)
    transport = HTTPXTransport(patient.url, timeout=ASK_SECONDS)
    try:
        gateway, cruds = await asyncio.gather(
            greet(transport, "gateway", patient.url, patient.clock, token=find_token(patient.url) or patient.api_key),
            _greet_cruds(patient, find_token),
        )
        yield check_port(gateway)
        for crud in cruds:
            yield check_port(crud) if isinstance(crud, Greeting) else crud
        greetings = [gateway, *(crud for crud in cruds if isinstance(crud, Greeting))]
        first = second = Reported(None)
        is_there = gateway.state is State.OURS
        yield check_readiness(await _readiness(transport) if is_there else None)
        if is_there:
            first = await read_report(transport, patient.api_key, patient.clock)
            second = await read_report(transport, patient.api_key, patient.clock) if first.report else first
        yield check_report(first, patient.used_key)
        yield check_versions(greetings, first)
        yield check_clocks(greetings, first)
        yield check_workers(greetings)
        seen = None if settings is None or databases_of(first.report) else await _look(settings, len(cruds))
        yield check_migrations(first, seen)
        yield check_connections(first, seen)
        yield check_revisions(first, second)
        yield await _check_keys(patient, transport, is_reported=first.report is not None)
    finally:
        await transport.aclose()
    if settings is None:
        yield skipped("disk", _ELSEWHERE)
        yield skipped("secret files", _ELSEWHERE)
        return
    yield check_disk(list(_folders(settings)))
    yield check_secret_files(settings.data_dir, settings.master_keys_file or settings.data_dir / FILE_NAME)


async def _readiness(transport: HTTPXTransport) -> Readiness | SarvanOMError:
    try:
        return await read_readiness(transport)
    except SarvanOMError as error:
        return error


def _token_finder(settings: UpSettings | None) -> FindToken:
    """Return what finds the token for the metrics of the service at a URL; None if there is none."""
    with suppress(OSError):  # the check of the secrets' files tells of one that cannot be trusted
        if settings is not None:
            return MetricsTokens(settings.metrics_token, settings.data_dir).find
    return lambda _: None


async def _greet_cruds(patient: Patient, find_token: FindToken) -> Sequence[Greeting | Finding]:
    """Greet every crud that the settings name, as a gateway would reach it."""
    settings = patient.settings
    if settings is None:
        return [skipped("crud", f"{_ELSEWHERE}, and crud is for it alone")]
    urls = crud_urls(settings)
    try:
        tls = hop_context(urls, settings.crud_ca, settings.hop_certificate, settings.hop_key)
        clients = ServiceClientFactory()
        discovery = clients.discovery(urls, tls=tls)
        connect = clients.direct(urls, tls=tls)
        async with AsyncExitStack() as stack, asyncio.timeout(3 * ASK_SECONDS):
            stack.push_async_callback(discovery.aclose)
            found = [endpoint.url for endpoint in await discovery.endpoints()]
            transports = [connect(url) for url in found]
            for transport in transports:
                stack.push_async_callback(transport.aclose)
            return await asyncio.gather(
                *(
                    greet(transport, "crud", url, patient.clock, token=find_token(url))
                    for transport, url in zip(transports, found, strict=True)
                )
            )
    except (SarvanOMError, TimeoutError, OSError, ValueError) as error:
        advice = "see that SARVANOM_CRUD_URLS, and the files of TLS beside it, are right"
        return [unknown("crud", f"no crud can be found by {urls}: {str(error) or 'no answer'}", advice)]


async def _look(settings: UpSettings, cruds: int) -> Seen:
    """Look at the database itself, since no crud tells of it."""
    needed = cruds * settings.database_connections
    try:
        schema, room = await look_at(settings.database)
    except (IncompatibleDatabase, SarvanOMError, OSError, ValueError) as error:
        return Seen(error=str(error))
    return Seen(schema, room, needed=needed)


async def _check_keys(patient: Patient, transport: HTTPXTransport, *, is_reported: bool) -> Finding:
    if not is_reported:
        return skipped("keys", "they cannot be listed without an administrator's report")
    client = CRUDServiceClient(ServiceClient(transport, api_key=patient.api_key))
    try:
        async with asyncio.timeout(_KEYS_SECONDS):
            return check_keys(await _list_keys(client))
    except TimeoutError:
        return unknown("keys", f"they could not be listed within {_KEYS_SECONDS:g} s", "run this again")
    except SarvanOMError as error:
        return unknown(
            "keys", f"they cannot be listed: {error.detail}", "set SARVANOM_API_KEY to an administrator's key"
        )


async def _list_keys(client: CRUDServiceClient) -> list[ApiKey]:
    keys: list[ApiKey] = []
    cursor: str | None = None
    while True:
        page = await client.keys.list(PaginationParams(limit=_PAGE, cursor=cursor, sort="name"))
        keys += page.items
        cursor = page.next_cursor
        if cursor is None:
            return keys


def _folders(settings: UpSettings) -> Sequence[Path]:
    """Return the folders of data, each once."""
    database = settings.database
    folders = [settings.data_dir]
    if database.startswith(SQLITE):
        folders.append(Path(database.removeprefix(SQLITE)).parent)
    return list({folder.resolve(): folder for folder in reversed(folders)}.values())[::-1]
