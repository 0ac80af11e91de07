"""A pool that this process records, and what it has read of its ledger."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.pool.ledger.entries import DrawEntry, Entry, decode_entry, is_awaited
from services.recorder.batch import Position
from services.recorder.boxes import BoxMemory
from services.recorder.configs import HeldConfig

RawEntry = tuple[bytes, Mapping[bytes, bytes]]
_CONFIGS_KEPT = 16


class _WaitingEntries(NamedTuple):
    raw: RawEntry
    draws: int


@dataclass(slots=True)
class HeldPool:
    """
    A pool whose lock is ours.

    Args:
        pool_id: The pool.
        read_to: Newest entry read; what is recorded, at first.
        recorded_seq: Newest draw known to be in Postgres.
        waiting: Entries read, but not taken for a batch.
        waiting_draws: Draws in them.
        configs: Configurations by version, some of those that hold or held.
        box: The box that it is, if it is one.
        is_awaited: Whether somebody may wait for what is in *waiting* to be recorded.
        is_urgent: Whether somebody waited for its newest entry, and so may for its next ones.
        has_more: Whether the last read has left entries, as far as it can tell.
        oldest_ms: Drawing time of the oldest draw in the batch in hand; 0: none in hand.
        trimmed_to: Where the stream was last cut.
        is_writing: Whether a task works on *waiting*.
        is_resting: Whether it waits among those in which nothing happens, see resting.py.
        read_at: When entries of it last came; by time.monotonic().
        is_lost: Whether it is to be given back: something failed, and Postgres knows how far it
            got; or it has ended, and nothing more comes.
        kept_until: Not given back before: what failed may fail again. By time.monotonic().
    """

    pool_id: int
    read_to: Position
    recorded_seq: int
    waiting: deque[_WaitingEntries] = field(default_factory=deque)
    waiting_draws: int = 0
    configs: dict[int, HeldConfig] = field(default_factory=dict)
    box: BoxMemory = field(default_factory=BoxMemory)
    is_awaited: bool = False
    is_urgent: bool = False
    has_more: bool = False
    oldest_ms: int = 0
    trimmed_to: int = 0
    is_writing: bool = False
    is_resting: bool = False
    read_at: float = 0.0
    is_lost: bool = False
    kept_until: float = 0.0

    def push(self, raw: RawEntry) -> None:
        """
        Queue an entry that follows those read before.

        One that a read under way brings to a lost pool is dropped: what came before it was not
        written, and the pool is read anew from where Postgres says. So is one that another read
        has brought already, which was under way when the pool came to rest.
        """
        seq, _, version = raw[0].partition(b"-")
        if self.is_lost or (int(seq), int(version)) <= self.read_to:
            return
        self.read_at = time.monotonic()
        before, self.read_to = self.read_to, self._position_after(int(seq), int(version))
        draws = self.read_to.seq - before.seq
        self.waiting.append(_WaitingEntries(raw, draws))
        self.waiting_draws += draws
        self.is_urgent = is_awaited(raw[1])
        self.is_awaited |= self.is_urgent

    @property
    def may_rest(self) -> bool:
        """Whether nothing is under way in it."""
        return not (self.waiting or self.is_writing or self.is_lost)

    def _position_after(self, seq: int, version: int) -> Position:
        return Position(seq, version or self.read_to.version)

    def take(self, limit: int) -> list[Entry]:
        """
        The next entries, until *limit* draws are reached.

        Raises:
            MalformedEntryError: One of them is not what docs/redis-keys.md says.
        """
        entries, draws = [], 0
        while self.waiting and draws < limit:
            raw, count = self.waiting.popleft()
            self.waiting_draws -= count
            draws += count
            entries.append(decode_entry(*raw))
        self.is_awaited &= bool(self.waiting)
        self.oldest_ms = next((e.drawn_ms for e in entries if isinstance(e, DrawEntry)), 0)
        return entries

    def forget_waiting(self) -> None:
        """Drop what is not taken yet; the ledger still has it."""
        self.waiting.clear()
        self.waiting_draws = 0

    def forget_old_configs(self) -> None:
        """Bound the configurations kept; Postgres has them all."""
        if len(self.configs) > _CONFIGS_KEPT:
            self.configs.clear()
