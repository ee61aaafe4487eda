"""The chaos drives a system that is right without finding anything, and finds out one that is not."""

import random

import pytest

from tests.invariants.chaos.record import Record
from tests.invariants.chaos.run import Options, make_history
from tests.invariants.chaos.sse import Frame, FrameReader
from tests.invariants.checker import check
from tests.invariants.played_cluster import played_cluster
from tests.invariants.played_store import PlayedStore, Wrong


async def play(wrong: Wrong | None, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Make a short history of a played system."""
    monkeypatch.setattr("tests.invariants.chaos.run.CATCH_UP", 2.0)
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it if the test fails)
    options = Options(seed=seed, seconds=3, writers=12, readers=3, pause=0.02)
    async with played_cluster(PlayedStore(random.Random(seed), wrong), 3) as cluster:
        record = await make_history(options, cluster, cluster.faults)
    print(record)  # noqa: T201
    return record


async def test_a_correct_system_is_found_correct(monkeypatch: pytest.MonkeyPatch) -> None:
    record = await play(None, monkeypatch)
    assert check(record.events) == []
    assert record.surprises == []
    for what in ("writes ok", "writes refused", "replays", "reads", "tries cut off", "changes seen", "crud killed"):
        assert record.tally[what], what


@pytest.mark.parametrize(
    ("wrong", "rules"),
    [
        ("forgets keys", {"acted_twice", "replay_refused"}),
        ("skips changes", {"watch_missed"}),
        ("reads stale", {"stale_read"}),
        ("loses writes", {"lost_write"}),
        ("refuses what it did", {"refused_acted"}),
    ],
)
async def test_a_faulty_system_is_found_out(wrong: Wrong, rules: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    record = await play(wrong, monkeypatch)
    assert rules & {violation.check for violation in check(record.events)}


def test_frames_are_read_from_pieces_of_any_size() -> None:
    stream = (
        b'id: 6\n: hello\n\nid: 7\nevent: change\ndata: {"a":\ndata: 1}\n\n: still here\r\n\r\ndata: x\r\n\r\nid: 8\nda'
    )
    for size in (1, 2, 7, len(stream)):
        reader = FrameReader()
        frames = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
        assert frames == [Frame("6", "message", b""), Frame("7", "change", b'{"a":\n1}'), Frame("", "message", b"x")]
        assert (reader.take_comments(), reader.take_comments()) == (2, 0)
