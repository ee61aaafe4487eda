"""The instances that discovery speaks of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance of a service: its base URL (`http://127.0.0.1:8001`), and whether it is thought to be well."""

    url: str
    healthy: bool = True
