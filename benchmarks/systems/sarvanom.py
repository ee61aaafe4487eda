"""The project itself: `sarvanom up`, a supervisor with a gateway and a crud below it."""

import sys
from pathlib import Path
from typing import override

from benchmarks.systems.base import Api, Command, Ports, System


class SarvanOM(System):
    """Gateway and crud on embedded SQLite, with the defaults of an installation."""

    name = "sarvanom"
    api = Api(collection="/users", listing="/users?limit=50")
    counted = ("gateway", "crud")

    @override
    def commands(self, folder: Path, ports: Ports) -> dict[str, Command]:
        environment = {
            "SARVANOM_DATA_DIR": str(folder / "data"),
            "SARVANOM_GATEWAY_PORT": str(ports.front),
            "SARVANOM_CRUD_PORT": str(ports.back),
            "SARVANOM_LOG_LEVEL": "info",
            "SARVANOM_LOG_FORMAT": "json",
        }
        return {"supervisor": Command((sys.executable, "-m", "sarvanom", "up"), environment)}

    @override
    def role_of(self, argv: list[str]) -> str | None:
        return next((role for role in self.counted if role in argv), None)
