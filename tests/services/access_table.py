"""Who may do what, route by route: the table that the matrix test holds every route to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.services.samples import SAMPLES, Sample

EVERYBODY: Final = frozenset({"viewer", "service", "editor", "admin", "bound"})
"""`bound` is an administrator who is bound to a service that owns nothing that is asked for."""
EDITORS: Final = frozenset({"editor", "admin", "bound"})
OPERATIVES: Final = EDITORS | {"service"}
ADMINISTRATORS: Final = frozenset({"admin", "bound"})
JSON: Final = {"content-type": "application/json"}
NDJSON: Final = {"content-type": "application/x-ndjson"}
NEVER: Final = {"if-match": '"0"'}
"""A condition that never holds, so that what is allowed changes nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One route: a request that changes nothing, who may make it, and what is then answered.

    `id` in the target is that of something that `default` owns. Whoever is not `allowed` is refused by 403; the
    bound administrator is answered `bound`, if that is another status.
    """

    allowed: frozenset[str]
    status: int
    target: str
    bound: int | None = None
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    is_at_crud: bool = True

    def expect(self, principal: str) -> int:
        if self.is_open:
            return self.status
        if principal not in self.allowed:
            return 403
        return self.bound if principal == "bound" and self.bound is not None else self.status


def _rows_of(sample: Sample) -> dict[tuple[str, str], Row]:
    collection = f"/{sample.collection}"
    item, target = f"{collection}/{{{sample.id_field}}}", f"{collection}/{{id}}"
    writers = OPERATIVES if sample.collection in ("cache", "users") else EDITORS
    replacement = {**sample.least("{id}"), "service": "elsewhere"}
    return {
        ("GET", collection): Row(EVERYBODY, 200, f"{collection}?limit=1"),
        ("POST", collection): Row(writers, 422, collection, body={}),
        ("GET", item): Row(EVERYBODY, 200, target, bound=404),
        ("PUT", item): Row(writers, 412, target, bound=404, body=replacement, headers=NEVER),
        ("PATCH", item): Row(writers, 412, target, bound=404, body={}, headers=NEVER),
        ("DELETE", item): Row(writers, 412, target, bound=404, headers=NEVER),
    }


ROWS: Final[Mapping[tuple[str, str], Row]] = {
    **{key: row for sample in SAMPLES for key, row in _rows_of(sample).items()},
    ("DELETE", "/cache"): Row(OPERATIVES, 422, "/cache"),
    ("GET", "/cache-stats"): Row(EVERYBODY, 200, "/cache-stats", bound=403),
    ("GET", "/keys"): Row(ADMINISTRATORS, 200, "/keys?limit=1"),
    ("POST", "/keys"): Row(ADMINISTRATORS, 422, "/keys", body={}),
    ("GET", "/keys/{key_id}"): Row(ADMINISTRATORS, 200, "/keys/{key}", bound=404),
    ("PATCH", "/keys/{key_id}"): Row(ADMINISTRATORS, 412, "/keys/{key}", bound=404, body={}, headers=NEVER),
    ("DELETE", "/keys/{key_id}"): Row(ADMINISTRATORS, 412, "/keys/{key}", bound=404, headers=NEVER),
    ("POST", "/keys/{key_id}/rotate"): Row(ADMINISTRATORS, 422, "/keys/{key}/rotate", body={"other": 1}),
    ("GET", "/accounts"): Row(ADMINISTRATORS, 200, "/accounts?limit=1"),
    ("POST", "/accounts"): Row(ADMINISTRATORS, 422, "/accounts", body={}),
    ("GET", "/accounts/{account_id}"): Row(ADMINISTRATORS, 200, "/accounts/{id}", bound=404),
    ("PATCH", "/accounts/{account_id}"): Row(ADMINISTRATORS, 412, "/accounts/{id}", bound=404, body={}, headers=NEVER),
    ("DELETE", "/accounts/{account_id}"): Row(ADMINISTRATORS, 412, "/accounts/{id}", bound=404, headers=NEVER),
    ("POST", "/auth/token"): Row(EVERYBODY, 400, "/auth/token", is_open=True, is_at_crud=False),
    ("POST", "/auth/revoke"): Row(EVERYBODY, 400, "/auth/revoke", is_open=True, is_at_crud=False),
    ("GET", "/.well-known/jwks.json"): Row(EVERYBODY, 200, "/.well-known/jwks.json", is_open=True, is_at_crud=False),
    ("GET", "/.well-known/oauth-authorization-server"): Row(
        EVERYBODY, 200, "/.well-known/oauth-authorization-server", is_open=True, is_at_crud=False
    ),
    ("GET", "/changes"): Row(EVERYBODY, 200, "/changes?limit=1"),
    ("POST", "/revisions/{revision}/revert"): Row(OPERATIVES, 404, "/revisions/9007199254740991/revert"),
    ("GET", "/export"): Row(ADMINISTRATORS, 200, "/export", bound=403),
    ("POST", "/import"): Row(ADMINISTRATORS, 409, "/import", bound=403, body={}, headers=NDJSON),
    ("GET", "/metrics"): Row(ADMINISTRATORS, 200, "/metrics"),
    ("GET", "/health"): Row(EVERYBODY, 200, "/health", is_open=True),
    ("GET", "/ready"): Row(EVERYBODY, 200, "/ready", is_open=True),
    ("GET", "/version"): Row(EVERYBODY, 200, "/version", is_open=True),
    ("GET", "/health/detailed"): Row(ADMINISTRATORS, 200, "/health/detailed"),
}
