"""Values come back as they were written: numbers of their kind, text of all planes, nesting up to its limit."""

import math
from typing import Any

import pydantic
import pytest
from pydantic import JsonValue

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceNotFound, SarvanOMError, ValidationFailed
from sarvanom.shared.models.crud_models import Dataset, ModelConfiguration, SystemSetting, UserProfile
from tests.contracts.samples import DATASET, SETTING, USER, new_id, same

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTROLS = "".join(map(chr, range(32))) + "\x7f\x80\x9f\u2028\u2029\ufeff"
PLANES = "".join(chr((plane << 16) + offset) for plane in range(17) for offset in (0x21, 0xABCD, 0xFFFE, 0xFFFF))
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    -1,
    -0.0,
    1e-7,
    0.1 + 0.2,
    1e16,
    1e22,
    5e-324,
    1.7976931348623157e308,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**300,
    10**4000,
    "",
    "null",
    "1",
    CONTROLS,
    PLANES,
    "e\u0301 \u00e9 \u202etfel\u202c \U0001f468\u200d\U0001f469\u200d\U0001f467",
    '"\\/\b\f\n\r\t',
    [],
    {},
    [[], {}, None, [[[]]]],
    {"": "", " ": {}, "a.b": 1, "\x00": 0, PLANES: CONTROLS, "__proto__": [], "null": None},
    {"1": 1, "1.0": 1.0, "true": True, "list": [1, 1.0, True, "1"]},
    "x" * 1_000_000,
    list(range(10_000)),
    "[{" * 500,
]


def nested(depth: int, *, innermost: Any = None) -> Any:
    """Return JSON in which `depth` containers stand in each other."""
    value: Any = [] if innermost is None else [innermost]
    for level in range(depth - 1):
        value = {"a": value} if level % 2 else [value, 0]
    return value


async def test_json_value_comes_back_as_it_was(service: CRUDServiceContract) -> None:
    key = new_id()
    await service.settings.create(SystemSetting(setting_key=key, setting_value=0))
    for value in VALUES:
        written = await service.settings.replace(SystemSetting(setting_key=key, setting_value=value))
        read = await service.settings.get(key)
        assert same(written.setting_value, value), repr(value)[:100]
        assert same(read.setting_value, value), repr(value)[:100]


async def test_json_value_survives_writes_to_other_fields(service: CRUDServiceContract) -> None:
    """A patch reads what is stored and writes it again."""
    user = await service.users.create(USER.build(new_id(), preferences={"all": VALUES}))
    patched = await service.users.patch(user.user_id, {"preferences": {"one": 1.0}, "settings": {"more": VALUES[:20]}})
    assert same(patched.preferences, {"all": VALUES, "one": 1.0})
    assert same((await service.users.get(user.user_id)).settings, {"flags": [], "more": [*VALUES[:20]]})


async def test_json_values_come_back_from_a_list(service: CRUDServiceContract) -> None:
    category = new_id()
    for number, value in enumerate(VALUES):
        await service.settings.create(
            SystemSetting(setting_key=f"{category}/{number:03}", setting_value=value, category=category)
        )
    assert same([*(await service.settings.category(category)).values()], VALUES)


@pytest.mark.parametrize("depth", [1, 99, 100])
async def test_nesting_up_to_the_limit_is_kept(service: CRUDServiceContract, depth: int) -> None:
    value, id = nested(depth, innermost=1e-7), new_id()
    written = await service.settings.create(SystemSetting(setting_key=id, setting_value=value))
    assert same(written.setting_value, value)
    assert same((await service.settings.get(id)).setting_value, value)
    patched = await service.settings.patch(id, {"setting_value": nested(depth, innermost="patched")})
    assert same(patched.setting_value, nested(depth, innermost="patched"))


@pytest.mark.parametrize("depth", [101, 120])
async def test_nesting_beyond_the_limit_is_refused(service: CRUDServiceContract, depth: int) -> None:
    created = await service.settings.create(SETTING.build(new_id()))
    with pytest.raises(ValidationFailed) as caught:
        await service.settings.patch(created.setting_key, {"setting_value": nested(depth)})
    assert caught.value.errors
    assert await service.settings.get(created.setting_key) == created


async def test_merging_may_not_nest_beyond_the_limit(service: CRUDServiceContract) -> None:
    """Each patch is within the limit; what it is merged into makes it neither deeper nor shallower."""
    deepest: dict[str, Any] = {}
    for _ in range(99):
        deepest = {"a": deepest}
    user = await service.users.create(USER.build(new_id(), preferences=deepest))
    beyond: dict[str, Any] = {"b": {}}
    for _ in range(99):
        beyond = {"a": beyond}
    with pytest.raises(ValidationFailed):
        await service.users.patch(user.user_id, {"preferences": beyond})
    assert await service.users.get(user.user_id) == user


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
async def test_number_that_json_lacks_is_refused(service: CRUDServiceContract, number: float) -> None:
    setting = await service.settings.create(SETTING.build(new_id()))
    values: tuple[JsonValue, ...] = (number, [number], {"a": {"b": [0, number]}})
    for value in values:
        with pytest.raises(ValidationFailed):
            await service.settings.patch(setting.setting_key, {"setting_value": value})
        with pytest.raises(pydantic.ValidationError):
            SystemSetting(setting_key="never", setting_value=value)
    with pytest.raises(ValidationFailed):
        await service.settings.patch(setting.setting_key, {"category": number})
    assert await service.settings.get(setting.setting_key) == setting


async def test_integer_too_long_to_read_again_is_never_stored(own_service: CRUDServiceContract) -> None:
    """Python reads integers of 4,300 digits at most, Pydantic's JSON reader of 4,300 or so."""
    category, key = new_id(), new_id()
    with pytest.raises((pydantic.ValidationError, SarvanOMError)):
        await own_service.settings.create(SystemSetting(setting_key=key, setting_value=10**5000, category=category))
    with pytest.raises(ResourceNotFound):
        await own_service.settings.get(key)
    assert await own_service.settings.category(category) == {}


async def test_control_character_in_a_name_makes_no_model() -> None:
    controls = [*map(chr, range(32)), "\x7f"]
    for text in [*controls, *(f"a{control}" for control in controls), *(f"{control}b" for control in controls)]:
        for build in (
            lambda text: USER.build("id", username=text),
            lambda text: USER.build("id", service=text),
            lambda text: USER.build("id", email=f"{text}@example.org"),
            lambda text: DATASET.build("id", name=text),
            lambda text: DATASET.build("id", format=text),
            lambda text: ModelConfiguration(model_name="id", provider=text),
            lambda text: SETTING.build("id", category=text),
        ):
            with pytest.raises(pydantic.ValidationError):
                build(text)


async def test_control_character_in_a_name_is_refused(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    for control in (*map(chr, range(32)), "\x7f"):
        for changes in ({"username": f"a{control}b"}, {"service": control}, {"email": f"a{control}@example.org"}):
            with pytest.raises(ValidationFailed) as caught:
                await service.users.patch(user.user_id, changes)
            assert {error.field for error in caught.value.errors} == set(changes)
    assert await service.users.get(user.user_id) == user


async def test_longest_names_are_kept_and_longer_ones_refused(service: CRUDServiceContract) -> None:
    """Length is counted in characters, of which UTF-8 may take four bytes each."""
    id = new_id()
    longest = f"{id}{'\U0001f600' * 255}"[:255]
    user = await service.users.create(USER.build(id, username=longest, service=longest))
    assert (await service.users.get(id)).username == (await service.users.by_username(longest)).username == longest
    with pytest.raises(ValidationFailed):
        await service.users.patch(id, {"username": f"{longest}x"})
    with pytest.raises(ValidationFailed):
        await service.users.patch(id, {"service": f"{longest}x"})
    with pytest.raises(pydantic.ValidationError):
        UserProfile(user_id=id, username=f"{longest}x", email=user.email)
    assert await service.users.get(id) == user


async def test_text_may_hold_any_character(service: CRUDServiceContract) -> None:
    text = CONTROLS + PLANES
    created = await service.datasets.create(
        Dataset(dataset_id=new_id(), name=PLANES, description=text * 900, source=PLANES * 30, format=PLANES)
    )
    read = await service.datasets.get(created.dataset_id)
    assert (read.name, read.description, read.source, read.format) == (PLANES, text * 900, PLANES * 30, PLANES)
