"""What is stored in the end: the log from revision 0, the tables, and the newest revision."""

import asyncio
import random
from typing import Any

from tests.invariants.chaos.cluster import Cluster
from tests.invariants.chaos.record import Record, now
from tests.invariants.chaos.wire import Connection, CutOff
from tests.invariants.chaos.workload import ID_FIELDS
from tests.invariants.history import Change, Head, Logged, Row, to_change

PATIENCE = 60.0


class Teller:
    """Asks for pages, at one process after the other, until there is an answer."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster = cluster
        self.chance = chance

    async def page(self, path: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return a list's items and metadata.

        Raises:
            AssertionError: nobody would answer.
        """
        deadline, last = now() + PATIENCE, ""
        while now() < deadline:
            connection = Connection(self.cluster.live_port(self.chance))
            try:
                answer = await connection.ask("GET", path)
                if answer.status == 200:
                    body = answer.json()
                    return body["data"]["items"], body["metadata"]
                last = f"{answer.status} {answer.body[:300]!r}"
            except CutOff as error:
                last = str(error)
            finally:
                connection.close()
            await asyncio.sleep(0.1)
        raise AssertionError(f"GET {path} was not answered: {last}")

    async def head(self) -> int:
        """Return the newest revision."""
        _, metadata = await self.page("/changes?since=0&limit=1")
        revision: int = metadata["revision"]
        return revision

    async def log(self) -> list[Change]:
        """Return the whole log."""
        changes: list[Change] = []
        since = 0
        while True:
            items, metadata = await self.page(f"/changes?since={since}&limit=1000")
            changes += map(to_change, items)
            since = metadata["next_since"]
            if since >= metadata["revision"]:
                return changes

    async def rows(self, log: list[Change]) -> list[Row]:
        """Return everything that the tables hold; keys are looked for if the log tells of any."""
        rows: list[Row] = []
        has_keys = any(change.resource == "keys" for change in log)
        for resource, id_field in (ID_FIELDS | ({"keys": "key_id"} if has_keys else {})).items():
            cursor = ""
            while True:
                items, metadata = await self.page(f"/{resource}?limit=1000{cursor}")
                rows += (Row(resource=resource, id=item[id_field], body=item) for item in items)
                if metadata["next_cursor"] is None:
                    break
                cursor = f"&cursor={metadata['next_cursor']}"
        return rows


async def read_end(cluster: Cluster, record: Record, chance: random.Random) -> list[Change]:
    """Add what is stored to the record, and return the log.

    A write that its writer gave up may still be on its way: all is read again until nothing changed meanwhile.
    """
    teller = Teller(cluster, chance)
    while True:
        head = await teller.head()
        log = await teller.log()
        rows = await teller.rows(log)
        if await teller.head() == head:
            break
    record.events += [Logged(change=change) for change in log]
    record.events += rows
    record.add(Head(revision=head))
    record.tally |= {"revisions": head, "rows": len(rows)}
    return log
