"""What checks conclude from what they are told."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sarvanom.backends.storage.contract import ServerRoom
from sarvanom.backends.storage.schema import HEAD
from sarvanom.cli.doctor.asking import Greeting, Reported, State, skew_of
from sarvanom.cli.doctor.findings import Outcome
from sarvanom.cli.doctor.folders import check_disk, check_secret_files
from sarvanom.cli.doctor.services import check_clocks, check_port
from sarvanom.cli.doctor.stored import Seen, check_connections, check_keys, check_migrations
from sarvanom.shared.models.key_models import ApiKey

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.mark.parametrize(
    ("asked", "answered", "tolerance", "skew"),
    [
        (AT - 1, AT + 1, 0, 0),
        (AT - 1, AT, 0, 0),
        (AT - 9, AT - 4, 0, 4),
        (AT + 4, AT + 9, 0, -4),
        (AT + 4, AT + 9, 2, -2),
        (AT + 1, AT + 9, 2, 0),
        (AT - 9, AT - 4, 2, 4),
    ],
)
def test_a_clock_is_wrong_by_what_cannot_be_the_way(
    asked: float, answered: float, tolerance: float, skew: float
) -> None:
    assert skew_of(NOW, asked, answered, tolerance) == skew


@pytest.mark.parametrize("time", [datetime.min, datetime.max, datetime.min.replace(tzinfo=UTC)])  # noqa: DTZ901
def test_a_clock_may_show_whatever_it_likes(time: datetime) -> None:
    assert abs(skew_of(time, AT, AT)) > 10**9


@pytest.mark.parametrize(
    ("skew", "outcome", "said"),
    [(0.0, Outcome.OK, "within 2 s"), (3.0, Outcome.PROBLEM, "3.0 s ahead"), (-70.0, Outcome.PROBLEM, "70.0 s behind")],
)
def test_clocks_may_differ_by_two_seconds(skew: float, outcome: Outcome, said: str) -> None:
    greeting = Greeting("gateway", "http://gateway", State.OURS, "1.0", skew)
    found = check_clocks([greeting], Reported(None))
    assert (found.outcome, said in found.found) == (outcome, True)
    assert bool(found.advice) == (outcome is Outcome.PROBLEM)


@pytest.mark.parametrize("state", [State.ABSENT, State.OTHER, State.SILENT, State.UNPROVEN])
def test_a_port_that_is_not_ours_is_a_problem_with_an_advice(state: State) -> None:
    found = check_port(Greeting("crud", "http://crud", state, error="because"))
    assert found.outcome is Outcome.PROBLEM
    assert "http://crud" in found.found
    assert found.advice


def key(name: str, expires_at: datetime | None) -> ApiKey:
    return ApiKey(key_id=f"key-{name}", name=name, hint="sk-x", digest="0" * 64, expires_at=expires_at)


def test_keys_that_end_soon_are_named() -> None:
    well = [key("none", None), key("late", NOW + timedelta(days=15)), key("past", NOW - timedelta(days=1))]
    assert check_keys(well, NOW).outcome is Outcome.OK
    soon = [key(f"soon{n}", NOW + timedelta(days=n)) for n in range(5, 0, -1)]
    found = check_keys([*well, *soon], NOW)
    assert found.outcome is Outcome.PROBLEM
    assert [name in found.found for name in ("key-soon1", "key-soon3", "key-soon4", "key-late", "key-past")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert "2 more" in found.found
    assert "sarvanom keys change key-soon1 --expires-at 2028-02-29T12:00:00Z" in found.advice


def test_the_disk_is_full_when_less_is_left_than_should_be(tmp_path: Path) -> None:
    assert check_disk([tmp_path], least=1).outcome is Outcome.OK
    full = check_disk([tmp_path], least=2**62)
    assert (full.outcome, str(tmp_path) in full.found) == (Outcome.PROBLEM, True)
    missing = check_disk([tmp_path / "not-there"])
    assert (missing.outcome, "SARVANOM_DATA_DIR" in missing.advice) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize("name", ["internal-secret", "admin-key", "metrics-token", "master-keys"])
def test_secrets_that_others_can_read_are_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    master_keys = folder / "master-keys"
    assert check_secret_files(folder, master_keys).outcome is Outcome.SKIPPED
    folder.mkdir(mode=0o700)
    (folder / name).write_text("s" * 40)
    (folder / name).chmod(0o600)
    assert check_secret_files(folder, master_keys).outcome is Outcome.OK
    (folder / name).chmod(0o640)
    found = check_secret_files(folder, master_keys)
    assert (found.outcome, name in found.found, "chmod 600" in found.advice) == (Outcome.PROBLEM, True, True)


def test_a_folder_that_others_may_write_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    found = check_secret_files(tmp_path, tmp_path / "master-keys")
    assert (found.outcome, found.advice) == (Outcome.PROBLEM, f"`chmod 700 {tmp_path}`")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_secrets_that_cannot_be_read_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "admin-key").write_text("s" * 40)
    (tmp_path / "admin-key").chmod(0)
    tmp_path.chmod(0o700)
    found = check_secret_files(tmp_path, tmp_path / "master-keys")
    assert (found.outcome, "as the user" in found.advice) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize(
    ("seen", "outcome", "said"),
    [
        (None, Outcome.SKIPPED, "no crud tells"),
        (Seen(error="The database does not answer"), Outcome.PROBLEM, "does not answer"),
        (Seen(None, ServerRoom(97, 3)), Outcome.PROBLEM, "empty"),
        (Seen("0003", ServerRoom(97, 3)), Outcome.PROBLEM, "0003"),
        (Seen(HEAD, ServerRoom(97, 3)), Outcome.OK, HEAD),
        (Seen("0003"), Outcome.OK, "migrates it when it starts"),
        (Seen(None), Outcome.OK, "none yet"),
    ],
)
def test_migrations_are_looked_at_though_no_crud_runs(seen: Seen | None, outcome: Outcome, said: str) -> None:
    found = check_migrations(Reported(None), seen)
    assert (found.outcome, said in found.found) == (outcome, True)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (None, Outcome.SKIPPED),
        (Seen(error="away"), Outcome.SKIPPED),
        (Seen(HEAD), Outcome.SKIPPED),
        (Seen(HEAD, ServerRoom(32, 3), needed=32), Outcome.OK),
        (Seen(HEAD, ServerRoom(31, 3), needed=32), Outcome.PROBLEM),
    ],
)
def test_connections_are_counted_though_no_crud_runs(seen: Seen | None, outcome: Outcome) -> None:
    assert check_connections(Reported(None), seen).outcome is outcome
