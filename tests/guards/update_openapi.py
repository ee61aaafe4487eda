"""Writes the snapshot of the gateway's OpenAPI document: `python -m tests.guards.update_openapi`."""

import json
from pathlib import Path
from typing import Final

from sarvanom.services.gateway.main import create_app
from sarvanom.settings import GatewaySettings

SNAPSHOT: Final = Path(__file__).with_name("openapi.json")


def current_document() -> str:
    """Return the document as it is served, laid out so that a change is a readable diff."""
    return json.dumps(create_app(GatewaySettings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(current_document())
