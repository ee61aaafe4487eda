"""What is done about the texts of a request: each is judged, what is found is told, and what is blocked is refused."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import from_json
from starlette.types import Scope

from sarvanom.security.inspection.findings import Mode, finding_of
from sarvanom.security.inspection.inspector import Inspector, is_plain
from sarvanom.security.inspection.verdicts import Verdict
from sarvanom.shared.errors import ContentBlocked, FieldError
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.observations import tell
from sarvanom.shared.resources import Resource
from sarvanom.web.inspected_texts import (
    PLAIN_QUERY,
    Text,
    find_resource,
    header_texts,
    item_texts,
    path_texts,
    pointer_token,
    query_texts,
)

MAX_FINDINGS: Final = 16
"""How many findings of one body or line are told; more of the kind say nothing new."""
_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_LENGTH: Final = 512


class Inspection:
    """Judges the parts of requests; one for all requests of a gateway.

    Raises `ContentBlocked` for a text whose profile is in mode `block`.
    """

    def __init__(self, inspector: Inspector, modes: Mapping[Profile, Mode]) -> None:
        self._inspect = inspector.inspect
        self._modes = {Profile.OFF: Mode.OFF, **modes}
        # Header values come again and again; bounded, since strangers choose them.
        self._remembered: dict[str, Verdict | None] = {}

    def check_head(self, scope: Scope) -> None:
        """Judge the path, the query string and the headers of a request."""
        path: str = scope["path"]
        if not is_plain(path):
            self._check(path_texts(path))
        query_string: bytes = scope["query_string"]
        if query_string.strip(PLAIN_QUERY):
            self._check(query_texts(query_string))
        self._check(header_texts(scope), self._recall)

    def check_item(self, resource: Resource[Any], body: bytes) -> None:
        """Judge a body that is an item, or a patch of one; what is no JSON will be refused by whoever reads it."""
        item = _parse(body)
        if item is not None:
            self._check(item_texts(resource, item))

    def detect_line(self, line: bytes) -> None:
        """Judge a line of an export that is restored: what was stored once is told of, and never blocked."""
        match _parse(line):
            case {"resource": str(name), "item": item} if (resource := find_resource(f"/{name}")) is not None:
                self._check(item_texts(resource, item, "/item"), can_block=False)
            case _:
                pass

    def _check(
        self,
        texts: Iterable[Text],
        inspect: Callable[[str, Profile], Verdict | None] | None = None,
        *,
        can_block: bool = True,
    ) -> None:
        inspect = inspect or self._inspect
        modes = self._modes
        found: list[str] = []
        for pointer, value, profile in texts:
            mode = modes[profile]
            if mode is Mode.OFF or (verdict := inspect(value, profile)) is None:
                continue
            found.append(value)
            action = mode if can_block else Mode.DETECT
            if len(found) <= MAX_FINDINGS or action is Mode.BLOCK:
                tell(finding_of(verdict, _without(pointer, found), action, value))
            if action is Mode.BLOCK:
                raise _blocked(_without(pointer, found))

    def _recall(self, value: str, profile: Profile) -> Verdict | None:
        if is_plain(value):
            return None
        if value in self._remembered:
            return self._remembered[value]
        verdict = self._inspect(value, profile)
        if len(value) <= _MAX_REMEMBERED_LENGTH:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[value] = verdict
        return verdict


def _parse(body: bytes) -> JsonValue:
    """Return what a JSON text says, by the parser that reads it again later: the two must not differ."""
    try:
        parsed: JsonValue = from_json(body)
    except ValueError:
        return None
    return parsed


def _without(pointer: str, values: Iterable[str]) -> str:
    """Return the pointer without the keys among what was found: no value is told."""
    found = {pointer_token(value) for value in values}
    return "/".join("*" if part in found else part for part in pointer.split("/"))


def _blocked(pointer: str) -> ContentBlocked:
    return ContentBlocked(
        "The request holds what looks like an attack",
        errors=[FieldError(pointer, "Looks like an attack on a database or a browser")],
    )
