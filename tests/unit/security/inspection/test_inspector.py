"""What is taken for an attack, and what is not, under each profile."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inspection.encodings import ENCODINGS
from sarvanom.security.inspection.inspector import Inspector, is_plain
from sarvanom.security.inspection.verdicts import Family, Verdict
from sarvanom.shared.models.profiles import Profile
from tests.unit.security.inspection.samples import (
    HONEST_NAMES,
    HONEST_TEXTS,
    SCRIPTS,
    SQL_INJECTIONS,
    STRICT_SQL_INJECTIONS,
)

PROFILES = [Profile.STRICT, Profile.FREE]
ATTACKS = [(text, Family.SQL_INJECTION) for text in SQL_INJECTIONS] + [
    (text, Family.CROSS_SITE_SCRIPTING) for text in SCRIPTS
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("text", "family"), ATTACKS)
def test_an_attack_is_found(inspector: Inspector, text: str, family: Family, profile: Profile) -> None:
    verdict = inspector.inspect(text, profile)
    assert verdict is not None
    assert (verdict.family, verdict.profile) == (family, profile)
    assert verdict.rules


@pytest.mark.parametrize("text", STRICT_SQL_INJECTIONS)
def test_less_is_enough_where_nobody_writes_code(inspector: Inspector, text: str) -> None:
    verdict = inspector.inspect(text, Profile.STRICT)
    assert verdict is not None
    assert verdict.family is Family.SQL_INJECTION


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("text", HONEST_NAMES)
def test_a_name_is_no_attack(inspector: Inspector, text: str, profile: Profile) -> None:
    assert inspector.inspect(text, profile) is None


@pytest.mark.parametrize("text", HONEST_TEXTS)
def test_talk_of_sql_and_html_is_no_attack_where_it_is_free(inspector: Inspector, text: str) -> None:
    assert inspector.inspect(text, Profile.FREE) is None


@pytest.mark.parametrize("text", ["SELECT name FROM staff; -- all", "<script>", "exec sp_who", "x = concat (a, b)"])
def test_code_is_found_where_names_are_expected_and_not_in_free_text(inspector: Inspector, text: str) -> None:
    assert inspector.inspect(text, Profile.STRICT) is not None
    assert inspector.inspect(text, Profile.FREE) is None


@pytest.mark.parametrize(("text", "_"), ATTACKS)
def test_nothing_is_found_where_inspection_is_off(inspector: Inspector, text: str, _: Family) -> None:
    assert inspector.inspect(text, Profile.OFF) is None


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("start", "end"), [("x " * 100_000, ""), ("", " y" * 100_000), ("x " * 50_000, " y" * 50_000)])
def test_padding_hides_nothing(inspector: Inspector, start: str, end: str, profile: Profile) -> None:
    for attack in ("' union select login, secret from staff--", "<img src=seven onerror=alert(7)>"):
        assert inspector.inspect(f"{start}{attack}{end}", profile) is not None


def test_an_attack_in_a_tag_that_is_long_is_found(inspector: Inspector) -> None:
    assert inspector.inspect(f"<img {'a=b ' * 50_000} onerror=alert(7)>", Profile.FREE) is not None


def test_a_verdict_names_every_rule_of_the_group() -> None:
    verdict = Inspector().inspect("7' union select null, secret from staff--", Profile.FREE)
    rules = ("union.union-columns", "union.union-breakout", "union.union-comment", "union.union-number")
    assert verdict == Verdict(Family.SQL_INJECTION, rules, Profile.FREE)


@pytest.mark.parametrize("text", ["", "ada", "meta-llama/Llama-3.1_8B", "ada@example.org"])
def test_plain_text_is_told_at_once(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("character", "'\"`<>()=;:,#%&*+!?|\\^~${}[] \t\n\0\u00e9\u2019\uff07")
def test_what_attacks_are_made_of_is_not_plain(character: str) -> None:
    assert not is_plain(f"a{character}b")


def test_threads_share_an_inspector(inspector: Inspector) -> None:
    texts = [*(text for text, _ in ATTACKS), *HONEST_NAMES] * 4
    expected = [inspector.inspect(text, Profile.STRICT) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: inspector.inspect(text, Profile.STRICT), texts))
    assert found == expected


@given(st.sampled_from(ATTACKS), st.lists(st.sampled_from(sorted(ENCODINGS)), max_size=2), st.sampled_from(PROFILES))
def test_no_encoding_hides_an_attack(
    inspector: Inspector, attack: tuple[str, Family], names: list[str], profile: Profile
) -> None:
    text, _ = attack
    for name in names:
        text = ENCODINGS[name](text)
    assert inspector.inspect(text, profile) is not None


@given(st.text(st.characters(exclude_categories=())), st.sampled_from(PROFILES))
def test_no_text_makes_inspection_fail(inspector: Inspector, text: str, profile: Profile) -> None:
    verdict = inspector.inspect(text, profile)
    assert verdict is None or verdict.profile is profile
