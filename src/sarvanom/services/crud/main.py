"""The composition root of crud: the store, and the resource routes over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import structlog
from fastapi import FastAPI

from sarvanom.backends.storage.sqlite.store import SQLiteStore
from sarvanom.services.crud.answers import StoreAnswers
from sarvanom.services.crud.collections import StoredCRUDService
from sarvanom.services.crud.housekeeping import keep_house
from sarvanom.settings import CrudSettings
from sarvanom.web.edge import crud_edge
from sarvanom.web.health import register_health
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Service


def create_app(settings: CrudSettings | None = None) -> FastAPI:
    """Return the application over the store that the settings name.

    Raises:
        IncompatibleDatabase, ServiceUnavailable: the store cannot be opened.
    """
    settings = settings or CrudSettings.load()
    settings.database_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = SQLiteStore(settings.database_file)
    service = StoredCRUDService(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        housekeeping = asyncio.create_task(keep_house(store))
        try:
            yield
        finally:
            housekeeping.cancel()
            with suppress(asyncio.CancelledError):
                await housekeeping
            await service.aclose()

    async def check_database() -> None:
        await store.revision()

    app = Service(
        title="SarvanOM CRUD service",
        description="Keeps the data; for the gateway alone.",
        version=version("sarvanom"),
        lifespan=lifespan,
        edge=crud_edge(structlog.get_logger().bind()),
    )
    add_resource_routes(app, StoreAnswers(service))
    register_health(app, service="crud", version=app.version, checks={"database": check_database})
    return app
