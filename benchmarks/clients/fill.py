"""Fill a database with users: `python -m benchmarks.clients.fill URL ROWS`.

The rows go through the store's own `write_all`, so that they, the log and the counters are what the API would leave.
"""

import asyncio
import sys
from itertools import batched

from benchmarks.systems.base import Api
from benchmarks.users import user_id
from sarvanom.backends.storage.contract import Document, Write
from sarvanom.services.crud.storage import open_store
from sarvanom.shared.models.crud_models import UserProfile
from sarvanom.shared.resources import USERS

BATCH = 500
"""Rows in one transaction; they also share their timestamps, as rows of a bulk import do."""
TEAMS = 5
API = Api(collection="/users", listing="/users?limit=50")


def service(n: int) -> str:
    """Return the service of the nth row: a fifth of the table has the same."""
    return f"team-{n % TEAMS}"


async def fill(url: str, rows: int) -> None:
    """Write the rows."""
    store = open_store(url, connections=8)
    try:
        for numbers in batched(range(rows), BATCH, strict=False):
            for outcome in await store.write_all([_write(n) for n in numbers]):
                if isinstance(outcome, Exception):
                    raise outcome
    finally:
        await store.aclose()


def _write(n: int) -> Write:
    id = user_id(n)
    body = f'{{"service":"{service(n)}",{API.body(id, n)[1:]}'
    item = UserProfile.model_validate_json(body)

    def decide(_: Document | None) -> UserProfile:
        return item

    return Write(USERS, id, decide, item)


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1], int(sys.argv[2])))
