"""Requests of every kind, sent to a gateway by several at once, of which each is written down as it was answered."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import httpx2

from tests.harness.identity import ADMIN_HEADERS

SENDERS: Final = 6
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REFUSALS: Final = frozenset({401, 403, 405, 429})
"""What the gateway answers by itself."""
BULK: Final = {"Accept": "application/x-ndjson"}
NOBODY: Final = {"Authorization": ""}
STRANGER: Final = {"Authorization": "Bearer nonsense"}
ATTACK: Final = "username=x%27%20or%201%3D1--%20"

type Key = tuple[str, str, str]
"""Route, method and class of status, as metrics name them."""


class Asked(NamedTuple):
    """A request, by the template of its route, and its answer: the status, and the bytes of the body.

    When it began and ended is in seconds since 1970; the span is what the caller says that the request is part of.
    """

    route: str
    method: str
    status: int
    size: int
    trace_id: str
    span_id: str
    began: float
    ended: float

    @property
    def key(self) -> Key:
        return self.route, self.method if self.method in METHODS else "other", f"{self.status // 100}xx"

    @property
    def reaches_crud(self) -> bool:
        """Whether the gateway asks crud for it, when all is well."""
        return self.status not in REFUSALS and self.route != "unmatched"

    @property
    def is_write(self) -> bool:
        """Whether crud carries a write out for it, or refuses one."""
        return self.reaches_crud and self.method not in {"GET", "HEAD"}

    @property
    def key_at_crud(self) -> Key:
        route, method, status_class = self.key
        return route, "GET" if method == "HEAD" else method, status_class


class Step(NamedTuple):
    """A request to be sent, and the statuses that it has when all is well."""

    method: str
    path: str
    route: str
    statuses: tuple[int, ...]
    body: Any = None
    headers: Mapping[str, str] = {}


def steps() -> Iterator[Step]:
    """Yield the requests of one round, about resources of its own; each is answered before the next is sent."""
    id = f"l-{secrets.token_hex(8)}"
    user = {"user_id": id, "username": id, "email": f"{id}@example.org"}
    one = "/users/{user_id}"
    yield Step("POST", "/users", "/users", (201,), user)
    yield Step("POST", "/users", "/users", (409,), user)
    yield Step("GET", f"/users/{id}", one, (200,))
    yield Step("HEAD", f"/users/{id}", one, (200,))
    yield Step("PUT", f"/users/{id}", one, (200,), user)
    yield Step("PATCH", f"/users/{id}", one, (412,), {"settings": {}}, {"If-Match": '"1"'})
    yield Step("GET", f"/users/{id}", one, (304,), headers={"If-None-Match": "*"})
    yield Step("GET", "/users?limit=5", "/users", (200,))
    yield Step("POST", "/cache", "/cache", (201,), {"key": id, "value": [1]})
    yield Step("GET", f"/cache/{id}", "/cache/{key}", (200,))
    yield Step("GET", f"/cache/{id}-absent", "/cache/{key}", (404,))
    yield Step("POST", "/settings", "/settings", (201,), {"setting_key": id, "setting_value": 1})
    yield Step("GET", "/changes?since=0&limit=3", "/changes", (200,))
    yield Step("DELETE", f"/users/{id}", one, (204,))
    yield Step("GET", f"/users/{id}", one, (404,))
    yield Step("PATCH", "/users", "/users", (405,), {})
    yield Step("PROPFIND", f"/users/{id}", one, (405,))
    yield Step("GET", f"/{id}", "unmatched", (404,))
    yield Step("GET", "/users", "/users", (401,), headers=NOBODY)
    yield Step("GET", f"/users/{id}", one, (401,), headers=STRANGER)
    yield Step("GET", f"/users?{ATTACK}", "/users", (403,))
    yield Step("GET", "/models", "/models", (200, 429), headers=BULK)


@dataclass
class Load:
    """Sends requests to a gateway, and keeps what came of each."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def run(self, rounds: int) -> None:
        """Have each sender go through some rounds, in which all must be well."""

        def send() -> None:
            with self._client() as client:
                for _ in range(rounds):
                    for step in steps():
                        status = self._ask(client, step)
                        assert status in step.statuses, (step, status)

        _together(send, SENDERS)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send for the length of this block, whatever the answers are."""
        over = threading.Event()

        def send() -> None:
            with self._client() as client:
                while not over.is_set():
                    for step in steps():
                        self._ask(client, step)
                        if over.is_set():
                            break

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(_together, send, SENDERS)
            try:
                yield
            finally:
                over.set()
            sending.result()

    def read_at_once(self, times: int) -> None:
        """Read a list several times at once, whatever the answers are."""
        step = Step("GET", "/users?limit=5", "/users", (200,))

        def send() -> None:
            with self._client() as client:
                self._ask(client, step)

        _together(send, times)

    def count(self, *statuses: int) -> int:
        """Return how many answers had one of these statuses."""
        return sum(one.status in statuses for one in self.asked)

    def _client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers=ADMIN_HEADERS, timeout=60)

    def _ask(self, client: httpx2.Client, step: Step) -> int:
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        headers = {**step.headers, "traceparent": f"00-{trace_id}-{span_id}-01"}
        began = time.time()
        answer = client.request(step.method, step.path, json=step.body, headers=headers)
        size, ended = len(answer.content), time.time()
        self.asked.append(Asked(step.route, step.method, answer.status_code, size, trace_id, span_id, began, ended))
        return answer.status_code


def _together(send: Callable[[], None], senders: int) -> None:
    with ThreadPoolExecutor(senders) as pool:
        for sender in [pool.submit(send) for _ in range(senders)]:
            sender.result()
