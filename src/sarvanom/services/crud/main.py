"""The composition root of crud: the store, and the resource routes over it."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from sarvanom.backends.identity.secret_files import internal_secret, metrics_token
from sarvanom.observability.observability import Observability, TraceSettings
from sarvanom.observability.sampling import SAMPLING
from sarvanom.observability.siblings import Place
from sarvanom.security.derived_keys import derive_key
from sarvanom.security.passwords import Passwords
from sarvanom.security.refresh_tokens import Lifetimes, RefreshTokens
from sarvanom.security.sealing import Sealer
from sarvanom.security.statements import PURPOSE, Statements
from sarvanom.services.crud.accounts import HashedFields
from sarvanom.services.crud.administrator import Administrator
from sarvanom.services.crud.answers import StoreAnswers
from sarvanom.services.crud.archive_answers import ArchiveAnswers
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.feed import Feed
from sarvanom.services.crud.health import health_sources
from sarvanom.services.crud.housekeeping import Retention, keep_house
from sarvanom.services.crud.idempotency import CallsInProgress
from sarvanom.services.crud.key_directory import KeyDirectory, register_key_directory
from sarvanom.services.crud.key_issuer import KeyIssuer
from sarvanom.services.crud.log_answers import LogAnswers
from sarvanom.services.crud.master_keys import KeySources
from sarvanom.services.crud.measuring import measure_store
from sarvanom.services.crud.sealed_store import SealedStore
from sarvanom.services.crud.session_routes import register_sessions
from sarvanom.services.crud.sessions import Sessions
from sarvanom.services.crud.storage import open_store
from sarvanom.settings import CrudSettings
from sarvanom.web.archive_routes import add_archive_routes
from sarvanom.web.edge import crud_edge
from sarvanom.web.health import register_health
from sarvanom.web.log_routes import add_log_routes
from sarvanom.web.metrics_route import register_metrics
from sarvanom.web.middleware.observation import ObservationMiddleware
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Service


def create_app(settings: CrudSettings | None = None, place: Place | None = None) -> FastAPI:
    """Return the application over the store that the settings name; `place` says which of several workers it is.

    Raises:
        IncompatibleDatabase, ServiceUnavailable: the store cannot be opened.
        BadMasterKeys: there are no master keys, or not the right ones.
        SecretFileRefused: the internal secret cannot be read.
    """
    settings = settings or CrudSettings.load()
    secret = internal_secret(settings.internal_secret, settings.data_dir)
    store = _open_sealed(settings)
    retention = Retention(settings.idempotency_seconds, settings.history_seconds, settings.history_changes)
    service = StoredCRUDService(store)
    passwords = Passwords(concurrency=settings.password_threads)
    administrator = Administrator(store, settings.admin_key, settings.data_dir)

    feed = Feed(store.log)
    sampling = derive_key(secret, SAMPLING)
    traces = TraceSettings(settings.otlp_endpoint, settings.trace_sample, sampling, follows_callers=True)
    observability = Observability("crud", version("sarvanom"), place or Place(), traces)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await observability.start([feed.report])
        background = keep_house(store, retention), administrator.run(), measure_store(store)
        work = [asyncio.create_task(one) for one in background]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await service.aclose()
            await asyncio.to_thread(passwords.close)
            await observability.aclose()

    app = Service(
        title="SarvanOM CRUD service",
        description="Keeps the data; for the gateway alone.",
        version=version("sarvanom"),
        lifespan=lifespan,
        edge=crud_edge(
            Statements(derive_key(secret, PURPOSE)),
            observation=partial(ObservationMiddleware, entrance=traces.entrance(), under_way=observability.under_way),
            metrics_token=metrics_token(settings.metrics_token, settings.data_dir),
        ),
    )
    in_progress = CallsInProgress()
    add_resource_routes(app, StoreAnswers(service, KeyIssuer(secret), HashedFields(passwords), in_progress))
    add_log_routes(app, LogAnswers(store, feed, in_progress))
    add_archive_routes(app, ArchiveAnswers(service.archive, store))
    directory = KeyDirectory(store)
    register_key_directory(app, directory)
    lifetimes = Lifetimes(idle=settings.refresh_idle_seconds, absolute=settings.refresh_seconds)
    register_sessions(app, Sessions(store, directory, passwords, RefreshTokens(secret, lifetimes)))
    sources = health_sources(
        store, administrator, place or Place(), workers=settings.workers, connections=settings.database_connections
    )
    register_health(app, service="crud", version=app.version, sources=sources)
    register_metrics(app, observability.read)
    return app


def _open_sealed(settings: CrudSettings) -> SealedStore:
    store = open_store(settings.database, connections=settings.connections_per_worker)
    sources = KeySources(
        settings.master_keys, settings.master_key_command, settings.master_keys_file, settings.data_dir
    )
    try:
        return SealedStore(store, Sealer(sources.open(settings.database)))
    except BaseException:
        with ThreadPoolExecutor(1) as executor:  # there may be a loop in this thread
            executor.submit(asyncio.run, store.aclose()).result()
        raise
