"""When the recorder lets further entries come, and when it goes on at once."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.recorder.batch import Position
from services.recorder.held import HeldPool, RawEntry
from services.recorder.reader import LedgerReader
from services.recorder.recorder import may_pause

_BATCH_DRAWS = 1000
_READ_ENTRIES = 3


def _entries(first: int, count: int, fields: dict[bytes, bytes]) -> list[RawEntry]:
    return [(f"{seq}-0".encode(), fields) for seq in range(first, first + count)]


async def _read(*ledgers: list[RawEntry]) -> list[HeldPool]:
    """Pools 1, 2, … once these entries of theirs were read."""
    pools = [HeldPool(number, Position(0, 1), 0) for number, _ in enumerate(ledgers, 1)]
    await _read_on(pools, *ledgers)
    return pools


async def _read_on(pools: list[HeldPool], *ledgers: list[RawEntry]) -> None:
    async def xread(starts: dict[bytes, str], **_: Any) -> list[Any]:
        return [[key, some] for key, some in zip(starts, ledgers, strict=True) if some]

    redis: Any = SimpleNamespace(xread=xread)
    settings: Any = SimpleNamespace(read_ahead_draws=10_000, read_entries=_READ_ENTRIES)
    await LedgerReader(redis, settings).read(pools, 10)


@pytest.mark.parametrize(
    ("ledgers", "pauses"),
    [
        ([_entries(1, 2, {})], True),
        ([_entries(1, 2, {}), []], True),
        ([_entries(1, _READ_ENTRIES, {})], False),  # there are more already
        ([_entries(1, 1, {}), _entries(1, _READ_ENTRIES, {})], False),
        ([_entries(_BATCH_DRAWS, 1, {})], False),  # a whole batch
        ([_entries(1, 1, {b"a": b"0"})], False),  # somebody waits for it
        ([_entries(1, 1, {}), _entries(1, 1, {b"a": b"0"})], False),
    ],
)
async def test_it_pauses_after_few_entries_alone(
    ledgers: list[list[RawEntry]], pauses: bool
) -> None:
    """A pause while entries lie there would bound how many are recorded in a second."""
    assert pauses is may_pause(await _read(*ledgers), _BATCH_DRAWS)


async def test_it_does_not_pause_between_wins_that_are_waited_for() -> None:
    """The next one is waited for as well, whichever pool was read last."""
    (pool,) = await _read(_entries(1, 1, {b"a": b"0"}))
    pool.forget_waiting()
    assert not may_pause([pool], _BATCH_DRAWS)
    pool.push(_entries(2, 1, {})[0])
    assert may_pause([pool], _BATCH_DRAWS)


async def test_it_pauses_again_once_a_pool_has_no_more() -> None:
    """What had more, and then nothing, does not keep others from making large batches."""
    pools = await _read(_entries(1, _READ_ENTRIES, {}), [])
    await _read_on(pools, [], _entries(1, 1, {}))
    assert may_pause(pools, _BATCH_DRAWS)
