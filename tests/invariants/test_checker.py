"""The checker passes what is right and names what is wrong."""

import random
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.invariants.checker import check, main
from tests.invariants.history import read_history, write_history
from tests.invariants.made_up import valid_history
from tests.invariants.planted import log, reads, tables, watching, writes
from tests.invariants.planted.events import Plant

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)

FAULTS: list[tuple[Plant, str]] = [
    (log.drop_from_log, "log_gap"),
    (log.drop_end_of_log, "log_gap"),
    (log.grow_log_past_head, "log_beyond_head"),
    (log.repeat_in_log, "log_repeat"),
    (log.list_log_in_another_order, "log_order"),
    (log.swap_revisions, "acknowledged_elsewhere"),
    (log.call_after_a_later_one_returned, "real_time_order"),
    (writes.lose_acknowledged, "lost_write"),
    (writes.answer_another_revision, "acknowledged_elsewhere"),
    (writes.answer_another_body, "answer_differs"),
    (writes.act_twice, "acted_twice"),
    (writes.acknowledge_twice, "acknowledged_twice"),
    (writes.answer_a_replay_differently, "replay_differs"),
    (writes.answer_a_replay_with_another_body, "replay_differs"),
    (writes.refuse_a_replay, "replay_refused"),
    (writes.let_refused_act, "refused_acted"),
    (writes.let_refused_have_acted, "refused_acted"),
    (writes.log_what_nobody_asked_for, "unasked"),
    (writes.write_something_else, "done_otherwise"),
    (watching.miss_one, "watch_missed"),
    (watching.miss_the_last, "watch_missed"),
    (watching.see_one_twice, "watch_repeated"),
    (watching.see_in_another_order, "watch_out_of_order"),
    (watching.move_past_a_change, "watch_missed"),
    (watching.move_past_what_comes_then, "watch_out_of_order"),
    (watching.move_back, "watch_out_of_order"),
    (watching.miss_one_after_resuming, "watch_missed"),
    (watching.see_again_after_resuming, "watch_repeated"),
    (watching.resume_elsewhere, "watch_resumed_elsewhere"),
    (watching.see_what_is_not_logged, "watch_unasked"),
    (watching.see_what_was_before_the_start, "watch_unasked"),
    (watching.see_another_body, "watch_differs"),
    (reads.read_what_was_replaced, "stale_read"),
    (reads.read_nothing_where_something_is, "stale_read"),
    (reads.read_what_was_never_there, "read_not_in_log"),
    (reads.read_the_future, "future_read"),
    (reads.read_another_body, "read_differs"),
    (log.log_create_of_what_is_there, "operation"),
    (log.log_another_previous, "previous_revision"),
    (log.log_update_without_state, "after"),
    (tables.change_a_row, "row_differs"),
    (tables.drop_a_row, "row_missing"),
    (tables.list_a_row_twice, "row_repeated"),
    (tables.keep_a_deleted_row, "row_extra"),
    (log.give_a_name_twice, "not_unique"),
]
"""What is planted, and the rule that it breaks."""

ALONE = {
    "log_order",
    "acknowledged_twice",
    "replay_refused",
    "refused_acted",
    "unasked",
    "done_otherwise",
    "watch_repeated",
    "watch_resumed_elsewhere",
    "watch_differs",
    "stale_read",
    "read_not_in_log",
    "read_differs",
    "row_differs",
    "row_missing",
    "row_repeated",
}
"""Rules of which a planted fault breaks no other."""


@given(SEEDS, st.integers(0, 150), st.integers(0, 60), st.integers(0, 5))
@settings(deadline=None)
def test_valid_histories_pass(seed: int, writes: int, reads: int, watchers: int) -> None:
    assert check(valid_history(seed, writes=writes, reads=reads, watchers=watchers)) == []


@pytest.mark.parametrize(("plant", "rule"), [pytest.param(*fault, id=fault[0].__name__) for fault in FAULTS])
@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_a_planted_fault_is_caught(plant: Plant, rule: str, seed: int) -> None:
    history = valid_history(seed)
    broken = {violation.check for violation in check(plant(history, random.Random(seed)))}
    assert rule in broken
    assert rule not in ALONE or broken == {rule}


def test_every_rule_is_shown_to_catch_something() -> None:
    sources = (Path(__file__).parent / "checks").glob("*.py")
    rules = {rule for path in sources for rule in re.findall(r'Violation\(\s*"(\w+)"', path.read_text())}
    assert rules == {rule for _, rule in FAULTS}


@given(SEEDS)
@settings(deadline=None, max_examples=10)
def test_a_history_comes_back_from_its_file(seed: int) -> None:
    history = valid_history(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "history.jsonl")
        write_history(file, history)
        assert list(read_history(file)) == history


def test_the_program_prints_one_line_a_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, history = tmp_path / "history.jsonl", valid_history(1)
    write_history(file, history)
    assert main([str(file)]) == 0
    assert not capsys.readouterr().out

    write_history(file, tables.drop_a_row(history, random.Random(1)))
    assert main([str(file)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == ["row_missing"]
