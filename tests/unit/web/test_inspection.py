"""What is done about what is found."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from sarvanom.security.inspection.findings import Mode
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.shared.errors import ContentBlocked
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.observations import ContentFound, listen
from sarvanom.shared.resources import DATASETS, USERS
from sarvanom.web.inspection import MAX_FINDINGS, Inspection
from tests.unit.web.asgi import http_scope

SQL = "ada' or 7=7 --"
XSS = "<img src=seven onerror=alert(7)>"


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector()


@pytest.fixture(autouse=True)
def _unheard() -> Iterator[None]:
    yield
    ContentFound.listeners = ()


class Inspected(Inspection):
    """An inspection that keeps what it tells."""

    def __init__(self, inspector: Inspector, strict: Mode = Mode.BLOCK, free: Mode = Mode.DETECT) -> None:
        self.found: list[ContentFound] = []
        listen(ContentFound, self.found.append)
        super().__init__(inspector, {Profile.STRICT: strict, Profile.FREE: free})

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(finding.pointer, finding.action) for finding in self.found]


def body(**fields: Any) -> bytes:
    return orjson.dumps({"user_id": "ada", "username": "ada", **fields})


def test_a_strict_value_is_blocked_and_told(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    with pytest.raises(ContentBlocked) as raised:
        inspection.check_item(USERS, body(username=SQL))
    assert [error.field for error in raised.value.errors] == ["/username"]
    assert (raised.value.status, raised.value.code) == (403, "content_blocked")
    assert inspection.told == [("/username", Mode.BLOCK)]


def test_the_error_says_neither_the_value_nor_the_rule(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    with pytest.raises(ContentBlocked) as raised:
        inspection.check_item(USERS, body(username=SQL))
    said = raised.value.detail + repr(raised.value.errors)
    assert "7=7" not in said
    assert not any(rule in said for rule in inspection.found[0].rules)


def test_a_free_value_is_told_and_passes(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    inspection.check_item(USERS, body(preferences={"a": XSS, "b": ["fine", SQL]}))
    assert inspection.told == [("/preferences/a", Mode.DETECT), ("/preferences/b/1", Mode.DETECT)]
    assert [finding.profile for finding in inspection.found] == [Profile.FREE, Profile.FREE]


@pytest.mark.parametrize("strict", Mode)
@pytest.mark.parametrize("free", Mode)
def test_each_profile_has_a_mode_of_its_own(inspector: Inspector, strict: Mode, free: Mode) -> None:
    for mode, name in ((strict, "name"), (free, "description")):
        inspection = Inspected(inspector, strict, free)
        data = orjson.dumps({"dataset_id": "d", name: SQL})
        if mode is Mode.BLOCK:
            with pytest.raises(ContentBlocked):
                inspection.check_item(DATASETS, data)
        else:
            inspection.check_item(DATASETS, data)
        assert inspection.told == ([] if mode is Mode.OFF else [(f"/{name}", mode)])


def test_a_key_is_looked_at_and_never_told(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    inspection.check_item(USERS, body(preferences={XSS: {"a": SQL}}))
    assert inspection.told == [("/preferences", Mode.DETECT), ("/preferences/*/a", Mode.DETECT)]


def test_a_name_that_is_no_field_is_blocked_without_being_told(inspector: Inspector) -> None:
    with pytest.raises(ContentBlocked) as raised:
        Inspected(inspector).check_item(USERS, orjson.dumps({XSS: 7}))
    assert [error.field for error in raised.value.errors] == [""]


def test_what_is_told_of_one_body_is_bounded_and_what_is_blocked_is_not(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    inspection.check_item(USERS, body(preferences={"a": [SQL] * 100}))
    assert len(inspection.found) == MAX_FINDINGS
    inspection.found.clear()
    with pytest.raises(ContentBlocked):
        inspection.check_item(
            USERS, b'{"preferences": %b, "username": %b}' % (orjson.dumps([SQL] * 100), orjson.dumps(SQL))
        )
    assert inspection.told[-1] == ("/username", Mode.BLOCK)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"username": "x', b"null", b"7"])
def test_what_is_no_item_is_left_to_who_reads_it(inspector: Inspector, data: bytes) -> None:
    Inspected(inspector).check_item(USERS, data)


def test_of_names_that_come_twice_the_one_is_judged_that_is_stored(inspector: Inspector) -> None:
    data = b'{"user_id": "ada", "email": "ada@example.org", "username": "ada", "username": %b}' % orjson.dumps(SQL)
    assert USERS.write_model.model_validate_json(data).username == SQL
    with pytest.raises(ContentBlocked):
        Inspected(inspector).check_item(USERS, data)


@pytest.mark.parametrize(
    ("head", "pointer"),
    [
        ({"path": "/users/x' or 7=7"}, "path"),
        ({"path": "/users/<script>alert(7)</script>"}, "path"),
        ({"path": "/nothing/x' or '7'='7"}, "path"),
        ({"query_string": b"name=x%27%20or%207%3d7"}, "query/name"),
        ({"query_string": b"x%27%20or%207%3d7=1"}, "query"),
        ({"query_string": b"limit=7+union+select+7,8"}, "query/limit"),
        ({"headers": [(b"user-agent", b"x' or 7=7 --")]}, "header/user-agent"),
        ({"headers": [(b"referer", b"https://x/?q=<script>alert(7)</script>")]}, "header/referer"),
    ],
)
def test_path_query_and_headers_are_strict(inspector: Inspector, head: dict[str, Any], pointer: str) -> None:
    inspection = Inspected(inspector)
    with pytest.raises(ContentBlocked) as raised:
        inspection.check_head(http_scope(**head))
    assert [error.field for error in raised.value.errors] == [pointer]
    assert inspection.told == [(pointer, Mode.BLOCK)]


@pytest.mark.parametrize(
    "head",
    [
        {"path": "/users/ada"},
        {"path": "/models/bedrock/*/cohere.command-text-v14"},
        {"path": "/settings/a-._~!$&'()*+,;=:@"},
        {"query_string": b"limit=50&sort=-updated_at,username&priority__gte=5&fields=a"},
        {"query_string": b"name=O%27Malley+%26+Sons&cursor=WyItc2l6ZSwt=="},
        {"headers": [(b"authorization", b"Bearer x' or 7=7 --"), (b"cookie", b"a=<script>alert(7)</script>")]},
        {"headers": [(b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]},
        {"headers": [(b"accept-language", b"en-GB,en;q=0.9"), (b"idempotency-key", b"x' or 7=7 --")]},
    ],
)
def test_honest_heads_and_secrets_pass(inspector: Inspector, head: dict[str, Any]) -> None:
    inspection = Inspected(inspector)
    inspection.check_head(http_scope(**head))
    assert inspection.found == []


def test_a_header_that_comes_again_is_told_again(inspector: Inspector) -> None:
    inspection = Inspected(inspector, strict=Mode.DETECT)
    for _ in range(2):
        inspection.check_head(http_scope(headers=[(b"user-agent", SQL.encode())]))
    assert len(inspection.found) == 2


def test_what_is_remembered_of_headers_is_bounded(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    for number in range(3000):
        inspection.check_head(http_scope(headers=[(b"user-agent", b"agent (%d)" % number)]))
    inspection.check_head(http_scope(headers=[(b"user-agent", b"(%b)" % (b"x" * 60_000))]))
    assert len(inspection._remembered) <= 1024
    assert max(map(len, inspection._remembered)) <= 512


def test_a_line_of_an_export_is_never_blocked(inspector: Inspector) -> None:
    inspection = Inspected(inspector)
    inspection.detect_line(orjson.dumps({"resource": "users", "item": {"user_id": "ada", "username": SQL}}))
    assert inspection.told == [("/item/username", Mode.DETECT)]


@pytest.mark.parametrize(
    "line", [b"{", b"7", b'{"format":"x"}', b'{"resource":"x","item":{}}', b'{"resource":7,"item":{}}']
)
def test_other_lines_of_an_export_say_nothing(inspector: Inspector, line: bytes) -> None:
    inspection = Inspected(inspector)
    inspection.detect_line(line)
    assert inspection.found == []
