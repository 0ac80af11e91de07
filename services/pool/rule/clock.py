"""
A pool's own time. It only goes forward, by one microsecond a change at least; a clock that jumps
is not believed.

The same rule runs in Redis as lua/include/guard.lua.
"""

from typing import NamedTuple

# A server's clock may be put back by so much without anybody noticing: the pool's stands still
# meanwhile. Beyond it, somebody has to look.
BOUND_US = 10_000_000
_NEVER = (1 << 53) - 1


class ClockSpan(NamedTuple):
    """What a clock may show at this moment, Unix microseconds, by what is known apart from it."""

    earliest_us: int
    latest_us: int


ANY_TIME = ClockSpan(0, _NEVER)
NO_TIME = ClockSpan(_NEVER, 0)


def pool_clock_us(server_us: int, newest_us: int, believed: ClockSpan) -> int | None:
    """
    The time of a pool's next change; None: the server's clock is off, and nothing may be done.

    Args:
        server_us: What the server's clock shows.
        newest_us: The pool's time at its newest change; 0: none yet.
        believed: What the server's clock may show.
    """
    if not believed.earliest_us <= server_us <= believed.latest_us:
        return None
    if server_us < newest_us - BOUND_US:
        return None
    return max(server_us, newest_us + 1)
