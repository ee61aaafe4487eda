"""Crud in the test's own process, behind a real socket: for tests that change its patience."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from sarvanom.services.crud.main import create_app
from sarvanom.settings import CrudSettings
from sarvanom.web.protocol import ProblemProtocol
from tests.harness import identity


@asynccontextmanager
async def crud_in_process(**settings: Any) -> AsyncIterator[int]:
    """Serve crud to whoever signs as the tests do; yield its port."""
    known = {"admin_key": identity.ADMIN_KEY, "internal_secret": identity.INTERNAL_SECRET}
    app = create_app(CrudSettings.load(**known, **settings))
    server = uvicorn.Server(uvicorn.Config(app, http=ProblemProtocol, lifespan="on", log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (it says so nowhere else)
        await asyncio.sleep(0.01)
    yield listener.getsockname()[1]
    app.streams.stop()  # type: ignore[attr-defined]
    server.should_exit = True
    await serving
