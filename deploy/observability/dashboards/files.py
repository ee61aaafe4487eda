"""The dashboards as files for Grafana."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.observability.dashboards.capacity import capacity_board
from deploy.observability.dashboards.requests import requests_board
from deploy.observability.dashboards.store import store_board
from deploy.observability.dashboards.watches import watches_board

FOLDER: Final = Path(__file__).parents[1] / "grafana"


def dashboards() -> dict[str, str]:
    """Return the text of each file in `grafana/`, by its name."""
    boards = {
        "requests": requests_board(),
        "store": store_board(),
        "watches": watches_board(),
        "capacity": capacity_board(),
    }
    return {
        f"{name}.json": json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, board in boards.items()
    }
