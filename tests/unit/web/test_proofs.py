"""A body comes in while it is proven who sends it, and no longer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sarvanom.shared.errors import Unauthorized
from sarvanom.web.proofs import Refutation


class Proof:
    """Holds until it is refuted."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self) -> None:
        await self.ended.wait()


async def body(*parts: bytes, gate: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if gate is not None:
        await gate.wait()
        yield b"late"


async def test_body_comes_in_whole_while_the_proof_holds() -> None:
    refutation = Refutation(Proof())
    assert [part async for part in refutation.chunks(body(b"a", b"b"))] == [b"a", b"b"]
    refutation.close()


async def test_body_that_is_waited_for_breaks_off() -> None:
    proof = Proof()
    refutation = Refutation(proof)
    taken: list[bytes] = []

    async def take() -> None:
        async for part in refutation.chunks(body(b"a", gate=asyncio.Event())):
            taken.append(part)  # noqa: PERF401 (what came before is kept)

    taking = asyncio.create_task(take())
    await asyncio.sleep(0.01)
    assert (taken, taking.done()) == ([b"a"], False)
    proof.ended.set()
    with pytest.raises(Unauthorized):
        await taking
    assert not taking.cancelled()


async def test_next_part_is_refused_that_comes_after_the_end() -> None:
    proof, gate = Proof(), asyncio.Event()
    parts = Refutation(proof).chunks(body(b"a", gate=gate))
    assert await anext(parts) == b"a"
    proof.ended.set()
    gate.set()
    await asyncio.sleep(0.01)
    with pytest.raises(Unauthorized):
        await anext(parts)


async def test_other_time_limits_and_cancellation_are_none_of_its_business() -> None:
    refutation = Refutation(Proof())
    with pytest.raises(TimeoutError):
        async with refutation.breaking():
            raise TimeoutError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), refutation.breaking():
            await asyncio.sleep(1)
    refutation.close()
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert [part async for part in Refutation(Proof()).chunks(body(b"a"))] == [b"a"]
