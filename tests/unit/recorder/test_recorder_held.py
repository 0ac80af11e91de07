"""What a recorder holds of a pool: nothing is written past a failure."""

from services.recorder.batch import Position
from services.recorder.held import HeldPool, RawEntry


def _entry(last_seq: int) -> RawEntry:
    return f"{last_seq}-0".encode(), {}


def test_entries_are_dropped_when_a_read_under_way_brings_them_to_a_lost_pool() -> None:
    """After a failed batch, a later entry alone would be a gap: it waits to be read anew."""
    pool = HeldPool(1, Position(0, 1), 0)
    pool.push(_entry(5))
    assert (5, 1) == (pool.waiting_draws, len(pool.waiting))
    pool.is_lost = True
    pool.forget_waiting()
    pool.push(_entry(10))
    assert (0, 0, Position(5, 1)) == (pool.waiting_draws, len(pool.waiting), pool.read_to)
