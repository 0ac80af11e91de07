"""What the audit looks at: one pool as recorded, as it stands, and the draws between the two."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.pool.books.boxes import BoxFacts
from services.pool.ledger.entries import ConfigEntry, DrawEntry, Entry
from services.pool.rule.terms import LiveState


class SeqSpan(NamedTuple):
    """Seqs first … last."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many seqs."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class PoolRow:
    """
    A pool's row in Postgres; see the table for the columns.

    Args:
        name: Its activity's; of a box, "its goods' title, box 3"; else "".
        goods_id, num: The box that it is; None, 0: no box.
        mark_seq, mark_us: The newest change that was answered, see services/pool/marks/mark.py.
    """

    pool_id: int
    name: str
    version: int
    recorded_seq: int
    recorded_version: int
    draws: int
    wins: int
    unique_users: int
    halted_reason: str
    goods_id: int | None = None
    num: int = 0
    mark_seq: int = 0
    mark_us: int = 0


@dataclass(frozen=True, slots=True)
class PrizeRow:
    """
    A prize in Postgres, and what its records say of it.

    Args:
        prize_id: The prize.
        name: Its name.
        units: Units in all but for those held back; −1: unlimited.
        won: Units won: prizes.won_count.
        records: Rows of lottery_records that won it.
        is_deleted: Whether it has no part in draws any more; Redis may have forgotten it.
    """

    prize_id: int
    name: str
    units: int
    won: int
    records: int
    is_deleted: bool = False


class PrizeStock(NamedTuple):
    """Units of a prize in all, but for those held back, and units left."""

    prize_id: int
    name: str
    units: int
    left: int


class HeldUnits(NamedTuple):
    """Units of a prize that are held back: draws that were lost with Redis may have won them."""

    pool_id: int
    prize_id: int
    name: str
    units: int


class WinnerMismatch(NamedTuple):
    """A draw whose winner and record differ in prize or user; prize None: there is no such row."""

    seq: int
    recorded_prize_id: int | None
    listed_prize_id: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """
    The rows of a pool, counted.

    Args:
        records: Rows of lottery_records.
        wins: Those of them that won.
        new_users: Those of them that were their user's first draw here.
        beyond: Those of them after recorded_seq.
        last_win_no: Newest pool_win_no; 0: no winners.
        winners: Rows of winners.
    """

    records: int
    wins: int
    new_users: int
    beyond: int
    last_win_no: int
    winners: int


@dataclass(slots=True)
class Flight:
    """
    The draws after recorded_seq, up to the newest: in the ledger stream, not in Postgres yet.

    Args:
        last_seq: How far it has been followed; at first, recorded_seq.
        gaps: Known gaps, first seq → last seq.
        won: Prize id → units won in it.
        new_users: Users who drew for the first time in it.
        versions: Configurations that came up in it.
        missing: Seqs that should be in it.
        unreadable: Ids of entries that are not what docs/redis-keys.md says.
    """

    last_seq: int
    gaps: Mapping[int, int] = field(default_factory=dict)
    won: Counter[int] = field(default_factory=Counter)
    new_users: int = 0
    versions: set[int] = field(default_factory=set)
    missing: list[SeqSpan] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def follow(self, entry: Entry) -> None:
        """Take the next entry into account."""
        if isinstance(entry, ConfigEntry):
            self.versions.add(entry.version)
        else:
            self._follow_draws(entry)

    def _follow_draws(self, entry: DrawEntry) -> None:
        self.arrive_at(entry.first_seq)
        self.won.update(draw.prize_id for draw in entry.draws if draw.prize_id)
        self.new_users += sum(draw.is_new_user for draw in entry.draws)
        self.last_seq = entry.last_seq

    def arrive_at(self, seq: int) -> None:
        """Note what is missing between the last draw followed and *seq*."""
        expected = self.last_seq + 1
        while expected in self.gaps:
            expected = self.gaps[expected] + 1
        if expected < seq:
            self.missing.append(SeqSpan(expected, seq - 1))


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """
    One pool, as of one instant of Postgres and one, not earlier, of Redis.

    Args:
        row: Its row.
        prizes: Its prizes, the deleted included.
        tally: Its rows, counted.
        missing: Seqs up to recorded_seq that have neither record nor known gap; a bounded number.
        mismatches: Winners that do not fit the records; a bounded number.
        live: Redis's state; None: not loaded.
        flight: From recorded_seq to the newest draw of *live*.
        box: What does not fit in it as a blind box; None: it is none.
    """

    row: PoolRow
    prizes: Sequence[PrizeRow]
    tally: Tally
    missing: Sequence[SeqSpan]
    mismatches: Sequence[WinnerMismatch]
    live: LiveState | None
    flight: Flight
    box: BoxFacts | None = None


@dataclass(frozen=True, slots=True)
class WinnerListFacts:
    """The global winner list: its counter, its rows and their newest number."""

    counter: int
    rows: int
    last_win_no: int
