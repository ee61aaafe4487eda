"""Keys of requests that may be sent again."""

import os
import re

from sarvanom.shared.clients.idempotency import KeySequence


def test_keys_are_of_the_characters_and_the_length_that_services_take() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", KeySequence().next())


def test_keys_differ_and_are_in_the_order_they_were_made_in() -> None:
    sequence = KeySequence()
    keys = [sequence.next() for _ in range(10_000)]
    assert len(set(keys)) == 10_000
    assert keys == sorted(keys)


def test_sequences_share_no_key() -> None:
    assert len({KeySequence().next() for _ in range(1_000)}) == 1_000


def test_forked_process_makes_other_keys() -> None:
    sequence = KeySequence()
    first = sequence.next()
    sequence._process = os.getpid() + 1  # as it looks to a child
    second = sequence.next()
    assert second.split("-")[0] != first.split("-")[0]
