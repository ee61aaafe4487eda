"""The yardstick: 200 bytes from a raw ASGI application, the least a Python server can cost here."""

from pathlib import Path
from typing import override

from benchmarks.systems.base import Api, Command, Ports, System
from benchmarks.systems.uvicorn import serve


class Yardstick(System):
    """One uvicorn process that stores nothing; whatever the scenario, it answers a GET."""

    name = "yardstick"
    api = Api(collection="/users", listing="/users?limit=50")
    counted = ("hello",)
    stores_users = False

    @override
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        return {"hello": Command(serve("benchmarks.hello:app", ports.front))}
