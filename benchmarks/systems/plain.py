"""The plain twin: two FastAPI processes, as kept in `benchmarks/plain`."""

from pathlib import Path
from typing import override

from benchmarks.systems.base import Api, Command, Ports, System
from benchmarks.systems.uvicorn import serve


class Plain(System):
    """FastAPI with `response_model`, default httpx, async ORM, `BaseHTTPMiddleware`."""

    name = "plain"
    api = Api(collection="/users", listing="/users?limit=50")
    counted = ("gateway", "crud")

    @override
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        database = {"PLAIN_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'plain.db'}"}
        crud = {"PLAIN_CRUD_URL": f"http://127.0.0.1:{ports.back}"}
        return {
            "crud": Command(serve("benchmarks.plain.crud:app", ports.back), database),
            "gateway": Command(serve("benchmarks.plain.gateway:app", ports.front), crud),
        }
