"""Sealing whole resources: what is secret is sealed, opens again in its place alone, and nothing else changes."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from sarvanom.security.encryption import KeyMissing, SealBroken
from sarvanom.security.sealed_text import MARKER, MEMBER, is_sealed, key_ids, mask
from sarvanom.security.sealing import Sealer
from sarvanom.security.secret_places import find_secrets
from sarvanom.shared.errors import ValidationFailed
from sarvanom.shared.models.account_models import Account
from sarvanom.shared.models.crud_models import ModelConfiguration, SystemSetting
from sarvanom.shared.models.secret_fields import MASK, SECRET_NAMES, _judged, are_harmless, is_secret_name
from sarvanom.shared.resources import ACCOUNTS, MODELS, SETTINGS
from tests.contracts.reference import merge
from tests.harness.secrets import MASTER_KEY, OTHER_KEY, keyring

SEALER = Sealer(keyring())
BOTH = Sealer(keyring(OTHER_KEY, MASTER_KEY))
NEW = Sealer(keyring(OTHER_KEY))

NAMES = st.sampled_from(["a", "b/c", "~", "d.e", "api_key", "API-KEY", "apiKey", "Token", "x-api-key", "max_tokens"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8).filter(lambda text: text != MASK)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
PARAMETERS = st.dictionaries(NAMES, VALUES, max_size=5)


def model(parameters: dict[str, Any], id: str = "m") -> ModelConfiguration:
    return ModelConfiguration(model_name=id, provider="p", parameters=parameters)


def stored(item: Any) -> bytes:
    text: bytes = item.to_json()
    return text


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_names_of_secrets_are_told_in_every_spelling(name: str) -> None:
    head, *tail = name.split("_")
    camel = head + "".join(word.title() for word in tail)
    assert all(map(is_secret_name, (name, name.upper(), name.replace("_", "-"), name.title(), camel)))


@pytest.mark.parametrize("name", ["max_tokens", "input_cost_per_token", "tokens", "key", "tokenizer", "secrets_of", ""])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_no_long_name_is_remembered() -> None:
    assert not is_secret_name("x" * 1_000_000)
    assert is_secret_name("_" * 1_000_000 + "api_key")
    assert max(map(len, _judged)) < 100


def test_few_names_are_remembered_and_none_is_judged_otherwise_for_it() -> None:
    names = [f"a{number}" for number in range(10_000)]
    assert not any(map(is_secret_name, names))
    assert len(_judged) <= 4096
    assert are_harmless(names[-9:])
    assert not are_harmless(names)
    assert find_secrets({**dict.fromkeys(names), "ApiKey": 1, "b": [{"pwd": 2, "token": None}]}) == [1, 2]
    assert find_secrets({"a9999": 1, "token": {"token": 3}}) == [{"token": 3}]
    assert not find_secrets("token")
    assert not find_secrets({})


@given(PARAMETERS)
def test_everything_named_like_a_secret_is_sealed_and_opens_to_the_same_text(parameters: dict[str, Any]) -> None:
    item = model(parameters)
    sealed = SEALER.seal(MODELS, item)
    secrets = find_secrets(parameters)
    assert len(key_ids(stored(sealed))) == len(secrets)
    assert all(map(is_sealed, find_secrets(from_json(stored(sealed))["parameters"])))
    assert SEALER.open(MODELS, "m", stored(sealed)) == stored(item)
    if not secrets:
        assert sealed is item


@given(PARAMETERS)
def test_what_is_read_settles_to_what_is_kept(parameters: dict[str, Any]) -> None:
    kept = stored(SEALER.seal(MODELS, model(parameters)))
    read = ModelConfiguration.model_validate_json(mask(kept))
    assert SEALER.secrets_of(MODELS, read) == [MASK] * len(find_secrets(parameters))
    assert stored(SEALER.settle(MODELS, read, kept)) == kept


@given(PARAMETERS)
def test_a_value_opens_neither_under_another_id_nor_in_another_place(parameters: dict[str, Any]) -> None:
    assume(find_secrets(parameters))
    text = stored(SEALER.seal(MODELS, model(parameters)))
    with pytest.raises(SealBroken, match=r"^models/n/parameters"):
        SEALER.open(MODELS, "n", text)
    body = from_json(text)
    for moved in ({"moved": body["parameters"]}, [body["parameters"]]):
        with pytest.raises(SealBroken):
            SEALER.open(MODELS, "m", to_json({**body, "parameters": moved}))
    setting = {"setting_key": "m", "setting_value": body["parameters"], "encrypted": True}
    with pytest.raises(SealBroken):
        SEALER.open(SETTINGS, "m", to_json(setting))


@given(PARAMETERS)
def test_renewing_changes_the_key_and_nothing_else(parameters: dict[str, Any]) -> None:
    item = model(parameters)
    old = stored(SEALER.seal(MODELS, item))
    new = BOTH.renew(MODELS, "m", old)
    assert set(key_ids(new)) <= {BOTH.keyring.ids[0]}
    assert NEW.open(MODELS, "m", new) == stored(item)
    assert mask(new) == mask(old)
    assert BOTH.renew(MODELS, "m", new) is new
    assert BOTH.renew(MODELS, "m", stored(item)) == stored(item) or find_secrets(parameters)
    if find_secrets(parameters):
        with pytest.raises(KeyMissing):
            NEW.renew(MODELS, "m", old)


@given(PARAMETERS)
def test_renewing_seals_what_was_kept_in_plain(parameters: dict[str, Any]) -> None:
    new = SEALER.renew(MODELS, "m", stored(model(parameters)))
    assert len(key_ids(new)) == len(find_secrets(parameters))
    assert SEALER.open(MODELS, "m", new) == stored(model(parameters))


@pytest.mark.parametrize(("encrypted", "sealed"), [(True, True), (False, False)])
def test_a_setting_that_was_kept_in_plain_is_sealed_if_it_is_encrypted(encrypted: bool, sealed: bool) -> None:
    text = stored(SystemSetting(setting_key="s", setting_value={"api_key": "x"}, encrypted=encrypted))
    assert (MARKER in SEALER.renew(SETTINGS, "s", text)) is sealed


@given(PARAMETERS, PARAMETERS)
def test_a_patch_over_sealed_secrets_gives_what_it_gives_over_plain_ones(
    parameters: dict[str, Any], changes: dict[str, Any]
) -> None:
    kept = stored(SEALER.seal(MODELS, model(parameters)))
    merged = SEALER.merge(MODELS, "m", kept, {"parameters": changes})
    settled = SEALER.settle(MODELS, ModelConfiguration.model_validate_json(to_json(merged)), kept)
    expected = merge(json.loads(stored(model(parameters)))["parameters"], json.loads(to_json(changes)))
    assert json.loads(SEALER.open(MODELS, "m", stored(settled)))["parameters"] == expected
    assert all(map(is_sealed, find_secrets(from_json(stored(settled))["parameters"])))


def refused(item: Any, sealer: Sealer = SEALER) -> list[str]:
    resource = MODELS if isinstance(item, ModelConfiguration) else SETTINGS
    with pytest.raises(ValidationFailed) as caught:
        sealer.admit(resource, item)
    assert "hush" not in str(caught.value.errors)
    return [f"{field}: {message}" for field, message in caught.value.errors]


def test_an_export_is_admitted_as_it_was_kept_and_plain_secrets_are_sealed() -> None:
    item = SEALER.seal(MODELS, model({"api_key": "hush", "x": [{"token": 1}], "password": None}))
    assert SEALER.admit(MODELS, item) == item
    plain = SEALER.admit(MODELS, model({"api_key": "hush"}))
    assert SEALER.open(MODELS, "m", stored(plain)) == stored(model({"api_key": "hush"}))
    setting = SystemSetting(setting_key="s", setting_value="hush", encrypted=True)
    assert is_sealed(getattr(SEALER.admit(SETTINGS, setting), "setting_value"))  # noqa: B009 (a field of one model)
    stars = SystemSetting(setting_key="s", setting_value=MASK)
    assert SEALER.admit(SETTINGS, stars) is stars


def test_an_export_whose_secrets_do_not_open_is_refused_with_the_reason() -> None:
    item = SEALER.seal(MODELS, model({"api_key": "hush"}))
    moved = model({"token": item.model_dump()["parameters"]["api_key"]})
    assert refused(item, NEW) == [
        f"parameters.api_key: Is sealed by master key {SEALER.keyring.ids[0]}, which is not among those of this store"
    ]
    assert refused(moved) == ["parameters.token: Does not open: it was changed, or sealed for another place"]
    assert refused(model({"api_key": {MEMBER: "garbage"}}))[0].startswith("parameters.api_key: Does not open")
    elsewhere = model({"a": item.model_dump()["parameters"]["api_key"]})
    assert refused(elsewhere) == ["parameters.a: Is sealed, and no secret stands here"]
    assert refused(model({"api_key": MASK}))[0].startswith(f"parameters.api_key: {MASK} is no secret")
    assert refused(model({"api_key": {"x": [MASK]}}))[0].startswith(f"parameters.api_key: {MASK} is no secret")
    assert refused(model({"a": {MEMBER: 1, "b": 2}}))[0].startswith(": Must have no member $sealed")
    whole = SEALER.seal(SETTINGS, SystemSetting(setting_key="s", setting_value="hush", encrypted=True))
    assert refused(whole.model_copy(update={"encrypted": False})) == [
        "setting_value: Is sealed, and no secret stands here"
    ]
    assert refused(SystemSetting(setting_key="s", setting_value=MASK, encrypted=True))[0].startswith("setting_value: ")


def test_field_that_is_named_like_a_secret_is_one_itself() -> None:
    account = Account(account_id="ada", password="a hash")
    assert SEALER.secrets_of(ACCOUNTS, account) == ["a hash"]
    sealed = SEALER.seal(ACCOUNTS, account)
    assert is_sealed(sealed.password)  # type: ignore[attr-defined]
    text = stored(sealed)
    assert b"a hash" not in text
    assert from_json(mask(text))["password"] == MASK
    assert from_json(SEALER.open(ACCOUNTS, "ada", text))["password"] == "a hash"
    kept = SEALER.settle(ACCOUNTS, Account(account_id="ada", password=MASK, disabled=True), text)
    assert kept.password == sealed.password  # type: ignore[attr-defined]
    renewed = BOTH.renew(ACCOUNTS, "ada", text)
    assert NEW.open(ACCOUNTS, "ada", renewed) == SEALER.open(ACCOUNTS, "ada", text)
    with pytest.raises(SealBroken):
        SEALER.open(ACCOUNTS, "eve", text)
    with pytest.raises(ValidationFailed):
        SEALER.settle(ACCOUNTS, Account(account_id="ada", password=MASK), None)
