"""Put the first users into a system, and see that it answers each kind of request as it should."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.errors import MeasurementFailed
from benchmarks.instance import Instance
from benchmarks.scenarios import SEEDED

PAGE = 50
_HEADERS = {"Content-Type": "application/json"}


def user_id(n: int) -> str:
    """Return the id of the nth seeded user: 15 characters, as PocketBase demands."""
    return f"u{n:014d}"


def seed(instance: Instance) -> None:
    """Create the users that the scenarios read and replace, through the API."""
    with (
        httpx.Client(base_url=instance.url, timeout=60, headers=instance.system.api.headers) as client,
        ThreadPoolExecutor(8) as threads,
    ):

        def create(n: int) -> None:
            _create(instance, client, user_id(n))

        list(threads.map(create, range(SEEDED)))


def check(instance: Instance) -> None:
    """Make one request of each kind, and compare status and body with what they must be."""
    api = instance.system.api
    known, new = user_id(SEEDED // 2), "x00000000000000"
    with httpx.Client(base_url=instance.url, timeout=60, headers=instance.system.api.headers) as client:
        _expect(client.get(f"{api.collection}/{known}"), 200, known, 1)
        _expect(client.get(api.listing), 200, '"user_id"', PAGE)
        body = api.body(known, n=4711)
        answer = client.request(api.replace_method, f"{api.collection}/{known}", content=body, headers=_HEADERS)
        _expect(answer, 200, "4711", 1)
        _expect(client.get(f"{api.collection}/{known}"), 200, "4711", 1)
        _create(instance, client, new)
        _expect(client.get(f"{api.collection}/{new}"), 200, new, 1)


def check_created(instance: Instance, created: str) -> None:
    """See that a user whose creation was acknowledged is there."""
    answer = httpx.get(
        f"{instance.url}{instance.system.api.collection}/{created}", timeout=60, headers=instance.system.api.headers
    )
    _expect(answer, 200, created, 1)


def _create(instance: Instance, client: httpx.Client, name: str) -> None:
    api = instance.system.api
    answer = client.post(api.collection, content=api.body(name), headers=_HEADERS)
    _expect(answer, api.created, name, 1)


def _expect(answer: httpx.Response, status: int, text: str, times: int) -> None:
    # A user's id is part of its name and its address too, so one text may well occur more often than once.
    found = answer.text.count(text)
    if answer.status_code != status or found < times:
        raise MeasurementFailed(
            f"{answer.request.method} {answer.request.url}: expected {status} and {times} x {text}, "
            f"got {answer.status_code} and {found} x; sample: {answer.text[:500]}"
        )
