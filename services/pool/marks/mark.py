"""A mark, and what follows from it for the next call of the store."""

from typing import NamedTuple

NO_LIMIT = (1 << 53) - 1


class Mark(NamedTuple):
    """
    The newest change of a pool that was answered, or may have been.

    Args:
        seq: Newest draw.
        clock_us: The pool's time at its newest change, see rule/clock.py.
    """

    seq: int = 0
    clock_us: int = 0

    def raised(self, other: "Mark") -> "Mark":
        """What both know."""
        return Mark(max(self.seq, other.seq), max(self.clock_us, other.clock_us))

    def covers(self, other: "Mark") -> bool:
        """Whether a store that is here has all that *other* knows."""
        return self.seq >= other.seq and self.clock_us >= other.clock_us


class MarkBounds(NamedTuple):
    """
    Between what a store may be.

    Args:
        mark: Behind it, it is older.
        last_seq: No draw begins past it.
    """

    mark: Mark = Mark()
    last_seq: int = NO_LIMIT
