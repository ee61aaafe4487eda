"""API keys for tests: made by the administrator, used by whoever they are for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.services.answers import data_of

type Key = dict[str, Any]


def make_key(http: httpx2.Client, name: str = "test", **fields: Any) -> Key:
    """Have a key made; the answer holds its text, as `key`."""
    return data_of(http.post("/keys", json={"name": name, **fields}), 201)


@contextmanager
def using(url: str, key: str) -> Iterator[httpx2.Client]:
    """A client of the gateway that has the key and nothing else."""
    with httpx2.Client(base_url=url, timeout=20, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client
