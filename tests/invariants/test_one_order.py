"""Invariant 2: revisions are in commit order, without repeat and without gaps, across crud processes on one file.

The cache is not logged, and has a sequence of its own.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sarvanom.shared.clients.service_client import CRUDServiceClient
from sarvanom.shared.errors import PreconditionFailed, ResourceConflict, ResourceNotFound
from sarvanom.shared.resources import KEYS, USERS
from tests.contracts.samples import SAMPLES, USER, new_id
from tests.harness.identity import signing_client
from tests.harness.system import RunningProcess, running_crud

WRITERS = 16
ROUNDS = 12


@contextlib.contextmanager
def two_cruds(folder: Path) -> Iterator[list[RunningProcess]]:
    """Start two crud processes at the same moment on a folder without a file."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        starting = [threads.submit(stack.enter_context, running_crud(folder)) for _ in range(2)]
        yield [each.result() for each in starting]


async def refused_writes(client: CRUDServiceClient, taken: Any) -> None:
    """Try what must be refused and therefore take no revision."""
    refusals = [
        (ResourceConflict, client.users.create(USER.build(taken.user_id))),
        (ResourceConflict, client.users.create(USER.build(new_id(), email=taken.email))),
        (ResourceNotFound, client.users.delete(new_id())),
        (PreconditionFailed, client.users.patch(taken.user_id, {}, if_match=10**9)),
    ]
    results = await asyncio.gather(*(call for _, call in refusals), return_exceptions=True)
    assert [type(result) for result in results] == [refused for refused, _ in refusals]


async def delete(client: CRUDServiceClient, path: str) -> int:
    """Delete and return the revision, which the contract's own method does not tell."""
    answer = await client.service.request("DELETE", path)
    return int(answer.header(b"sarvanom-revision") or 0)


type Revisions = dict[str, list[int]]


async def write(clients: list[CRUDServiceClient], chance: random.Random, taken: Any) -> Revisions:
    """Write to random collections through random processes; return each sequence in the order of the answers."""
    sequences: Revisions = {sample.resource.sequence: [] for sample in SAMPLES}
    for round_number in range(ROUNDS):
        sample, id = chance.choice(SAMPLES), new_id()
        revisions = sequences[sample.resource.sequence]

        def collection(sample: Any = sample) -> Any:
            return sample.collection(chance.choice(clients))

        revisions.append((await collection().create(sample.build(id))).revision)
        revisions.append((await collection().patch(id, {"service": "another"})).revision)
        read = await collection().get(id)
        assert read.revision == revisions[-1], "what one process acknowledged, the other knows"
        revisions.append((await collection().replace(sample.build(id), if_match=read.revision)).revision)
        if round_number % 3 == 0:
            await refused_writes(chance.choice(clients), taken)
            revisions.append(await delete(chance.choice(clients), sample.resource.path(id)))
    return sequences


async def test_revisions_of_two_processes_are_one_row(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    with two_cruds(tmp_path) as cruds:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(signing_client(crud.crud_url)) for crud in cruds]
            taken = await clients[0].users.create(USER.build(new_id()))
            writers = [write(clients, random.Random(seed + number), taken) for number in range(WRITERS)]
            by_writer = await asyncio.gather(*writers)
            last = await clients[1].users.patch(taken.user_id, {"service": "last"})
            stored = {
                sample: [item.revision or 0 async for item in sample.collection(clients[0]).iterate()]
                for sample in SAMPLES
            }
            logged = [change.revision for change in (await clients[0].log.changes(limit=1000)).items]
    by_writer.append({USERS.sequence: [taken.revision or 0]})
    by_writer.append({KEYS.sequence: [1]})  # the administrator's
    for sequence in {sample.resource.sequence for sample in SAMPLES}:
        revisions = sorted(itertools.chain(*(own.get(sequence, ()) for own in by_writer)))
        if sequence == USERS.sequence:
            revisions.append(last.revision or 0)
            assert logged == revisions[: len(logged)]
        assert revisions == list(range(1, len(revisions) + 1)), f"gaps or repeats (seed {seed})"
        kept = [one for sample, own in stored.items() if sample.resource.sequence == sequence for one in own]
        assert len(set(kept)) == len(kept)
        assert set(kept) <= set(revisions)
    for own in itertools.chain(*(writer.values() for writer in by_writer)):
        assert own == sorted(own), f"a later write got an earlier revision (seed {seed})"
