"""Random operations on users and settings, held against a model of the store, over every implementation."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound, SarvanOMError
from sarvanom.shared.models.crud_models import FilterParams, PaginationParams
from tests.contracts.conftest import IMPLEMENTATIONS, open_service
from tests.contracts.reference import Item, Reference, Refusals
from tests.contracts.samples import SETTING, USER, Sample, new_id, own_fields, same

type Run = Callable[[Coroutine[Any, Any, Any]], Any]

SAMPLES = {"users": USER, "settings": SETTING}
SORTABLE = {"users": ["username", "email"], "settings": ["category"]}
TEXT = st.text(st.characters(codec="utf-8"), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.sampled_from("abc") | TEXT, JSON, max_size=3)
SERVICES = st.sampled_from(["default", "chat", "etl"])
NAMES = st.sampled_from(["ann", "ANN", "bob", "stra\u00dfe", "STRASSE", "\U0001f600"])
MAILS = st.sampled_from(["ann", "ANN", "bob", "zoe"])
REQUIRED: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {"username": NAMES, "email": MAILS},
    "settings": {"setting_value": JSON},
}
OPTIONAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {"preferences": OBJECT, "settings": OBJECT, "service": SERVICES},
    "settings": {"category": st.sampled_from(["", "a", "B"]), "description": TEXT, "service": SERVICES},
}
PATCHES = {
    name: st.fixed_dictionaries(
        {},
        optional={
            **{field: st.none() | values for field, values in OPTIONAL[name].items()},
            **REQUIRED[name],
            **dict.fromkeys(["service"], st.none() | SERVICES),
        },
    )
    for name in SAMPLES
}
BROKEN: st.SearchStrategy[Item] = st.sampled_from(
    [{"no_such_field": 1}, {"user_id": "x", "setting_key": "x"}, {"username": None}]
)
KINDS = st.sampled_from([*SAMPLES])
IDS = st.sampled_from(["a", "b", "c/d", "e.f"])
MATCHES = st.sampled_from([None, None, "right", "wrong"])


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a service and to the reference, under a prefix of its own, and compares what they say."""

    def __init__(self, run: Run, service: CRUDServiceContract) -> None:
        super().__init__()
        self.run = run
        self.service = service
        self.prefix = new_id()
        self.references = {name: Reference(sample) for name, sample in SAMPLES.items()}
        self.revision = 0

    @rule(kind=KINDS, id=IDS, data=st.data())
    def create(self, kind: str, id: str, data: st.DataObject) -> None:
        reference, item = self.references[kind], self.draw_item(kind, id, data)
        call = self.collection(kind).create(reference.resource.model(**item))
        self.write(reference, call, reference.refusals_of_create(item), item)

    @rule(kind=KINDS, id=IDS, data=st.data(), match=MATCHES, create=st.booleans())
    def replace(self, kind: str, id: str, data: st.DataObject, match: str | None, create: bool) -> None:
        reference, item = self.references[kind], self.draw_item(kind, id, data)
        if_match = self.revision_to_match(reference, f"{self.prefix}/{id}", match)
        call = self.collection(kind).replace(reference.resource.model(**item), if_match=if_match, create=create)
        self.write(reference, call, reference.refusals_of_replace(item, if_match=if_match, create=create), item)

    @rule(kind=KINDS, id=IDS, data=st.data(), match=MATCHES, is_broken=st.sampled_from([False] * 5 + [True]))
    def patch(self, kind: str, id: str, data: st.DataObject, match: str | None, is_broken: bool) -> None:
        reference, id = self.references[kind], f"{self.prefix}/{id}"
        patch = self.localise(data.draw(PATCHES[kind])) | (data.draw(BROKEN) if is_broken else {})
        if_match = self.revision_to_match(reference, id, match)
        refusals = reference.refusals_of_patch(id, patch, if_match=if_match)
        expected = None if refusals else reference.patched(id, patch)
        self.write(reference, self.collection(kind).patch(id, patch, if_match=if_match), refusals, expected)

    @rule(kind=KINDS, id=IDS, match=MATCHES)
    def delete(self, kind: str, id: str, match: str | None) -> None:
        reference, id = self.references[kind], f"{self.prefix}/{id}"
        if_match = self.revision_to_match(reference, id, match)
        refusals = reference.refusals_of_delete(id, if_match=if_match)
        self.call(self.collection(kind).delete(id, if_match=if_match), refusals)
        if not refusals:
            reference.remove(id)

    @rule(kind=KINDS, id=IDS)
    def get(self, kind: str, id: str) -> None:
        reference, id = self.references[kind], f"{self.prefix}/{id}"
        found = self.call(self.collection(kind).get(id), () if id in reference.items else (ResourceNotFound,))
        if found is not None:
            self.assert_same(found, reference.items[id], reference.revisions[id])

    @rule(name=NAMES)
    def find_by_username(self, name: str) -> None:
        reference = self.references["users"]
        name = f"{name}-{self.prefix}"
        ids = [id for id, item in reference.items.items() if item["username"].casefold() == name.casefold()]
        found = self.call(self.service.users.by_username(name), () if ids else (ResourceNotFound,))
        assert (found.user_id if found else None) == (ids[0] if ids else None)

    @rule(kind=KINDS, service=st.none() | SERVICES, limit=st.integers(1, 5), data=st.data())
    def list(self, kind: str, service: str | None, limit: int, data: st.DataObject) -> None:
        reference = self.references[kind]
        fields = [*data.draw(st.lists(st.sampled_from(SORTABLE[kind]), unique=True)), reference.resource.id_field]
        terms = [f"{data.draw(st.sampled_from(['', '-']))}{field}" for field in fields]
        expected = reference.ordered(terms, service)
        items = self.run(self.read_pages(kind, service, limit, ",".join(terms), len(expected)))
        assert [reference.resource.id_of(item) for item in items] == expected
        for id, item in zip(expected, items, strict=True):
            self.assert_same(item, reference.items[id], reference.revisions[id])

    def teardown(self) -> None:
        for kind, reference in self.references.items():
            items = self.run(self.read_pages(kind, None, 3, reference.resource.id_field, len(reference.items)))
            assert [reference.resource.id_of(item) for item in items] == sorted(reference.items)

    def collection(self, kind: str) -> Any:
        return SAMPLES[kind].collection(self.service)

    def localise(self, fields: Item) -> Item:
        """Return the fields with names and addresses that only this machine uses."""
        own = {"username": "{}-" + self.prefix, "email": "{}@" + self.prefix + ".org"}
        return {name: own[name].format(value) if name in own else value for name, value in fields.items()}

    def draw_item(self, kind: str, id: str, data: st.DataObject) -> Item:
        """Return a whole item, defaults included."""
        fields = self.localise(data.draw(st.fixed_dictionaries(REQUIRED[kind], optional=OPTIONAL[kind])))
        sample: Sample = SAMPLES[kind]
        return own_fields(sample.resource.model(**{sample.resource.id_field: f"{self.prefix}/{id}", **fields}))

    def revision_to_match(self, reference: Reference, id: str, match: str | None) -> int | None:
        current = reference.revisions.get(id, self.revision + 1)
        return {None: None, "right": current, "wrong": current - 1}[match]

    def write(self, reference: Reference, call: Any, refusals: Refusals, expected: Item | None) -> None:
        """Carry out a write whose outcome is known, and let the reference follow."""
        written = self.call(call, refusals, expected, reference)
        if written is not None:
            assert expected is not None
            assert written.revision > self.revision
            self.revision = written.revision
            self.assert_same(written, expected, written.revision)
            reference.put(expected, written.revision)

    def call(self, call: Any, refusals: Refusals, item: Item | None = None, reference: Reference | None = None) -> Any:
        """Return what the call returned, or None if it was refused for one of the reasons, as it should."""
        try:
            result = self.run(call)
        except SarvanOMError as refused:
            error = refused
        else:
            assert not refusals, f"carried out, but expected {refusals}"
            return result
        assert isinstance(error, refusals), f"{error!r}, but expected {refusals}"
        if isinstance(error, ResourceConflict) and item is not None and reference is not None:
            id_field = reference.resource.id_field
            fields = {each.field for each in error.errors}
            taken = reference.taken(item) | ({id_field} if item[id_field] in reference.items else set())
            assert fields, "a conflict names its field"
            assert fields <= taken
        return None

    def assert_same(self, found: Any, expected: Item, revision: int) -> None:
        assert same(own_fields(found), expected), (own_fields(found), expected)
        assert found.revision == revision

    async def read_pages(self, kind: str, service: str | None, limit: int, sort: str, total: int) -> Sequence[Any]:
        sample = SAMPLES[kind]
        filters = FilterParams(**{f"{sample.resource.id_field}__prefix": f"{self.prefix}/"})
        if service is not None:
            filters = filters.with_conditions(service=service)
        seen, cursor = [], None
        while True:
            params = PaginationParams(limit=limit, cursor=cursor, sort=sort, include_total=True)
            page = await self.collection(kind).list(params, filters)
            assert page.total == total
            seen += page.items
            if (cursor := page.next_cursor) is None:
                return seen


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_service_behaves_like_its_model(implementation: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        service = open_service(implementation, request, tmp_path)
        try:
            machine: Any = partial(StoreMachine, runner.run, service)
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=30,
                    stateful_step_count=25,
                    deadline=None,
                    derandomize=False,
                    print_blob=True,
                    report_multiple_bugs=False,
                    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
                    suppress_health_check=[*HealthCheck],
                ),
            )
        finally:
            runner.run(service.aclose())
