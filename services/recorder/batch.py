"""A batch of ledger entries as the rows and sums that one transaction writes. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from services.common.timestamps import datetime_of_ms
from services.pool.ledger.entries import ConfigEntry, Draw, DrawEntry, Entry
from services.pool.rule.prize_code import prize_code
from services.recorder.configs import HeldConfig

RECORD_COLUMNS = (
    "pool_id",
    "seq",
    "activity_id",
    "user_id",
    "request_id",
    "draw_index",
    "draw_count",
    "user_draw_no",
    "version",
    "prize_id",
    "prize_name",
    "ticket",
    "odds_weight",
    "odds_total",
    "created_at",
)


class LedgerViolationError(Exception):
    """The ledger is not what it must be; the pool's recording stops."""


class Position(NamedTuple):
    """How far a ledger is recorded: its newest draw and its newest configuration."""

    seq: int
    version: int

    def covers(self, entry: Entry) -> bool:
        """Whether *entry* is recorded already."""
        if isinstance(entry, DrawEntry):
            return entry.last_seq <= self.seq
        # One before a recorded draw is recorded, or a rebuild has gone past it.
        return entry.version <= self.version or entry.after_seq < self.seq


class Gap(NamedTuple):
    """Seqs first_seq … last_seq were never used."""

    first_seq: int
    last_seq: int


class WinnerRow(NamedTuple):
    """A row of winners, but for its numbers."""

    seq: int
    activity_id: int | None
    user_id: int
    prize_id: int
    prize_name: str
    prize_code: str
    won_at: datetime


@dataclass(slots=True)
class Batch:
    """
    What one transaction writes for one pool.

    Args:
        pool_id: The pool.
        end: The position it leads to.
        rows: Of lottery_records, see RECORD_COLUMNS.
        wins: In the order of the ledger.
        configs: Configurations that came up.
        won_units: Prize id → wins.
        new_users: Users who drew for the first time.
        entries: Those with draws, in the order of the ledger.
        oldest_ms: Of its oldest draw, Unix milliseconds; 0: no draws.
        is_awaited: Whether some of its wins are not told to anybody before they are recorded.
    """

    pool_id: int
    end: Position
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    wins: list[WinnerRow] = field(default_factory=list)
    configs: list[ConfigEntry] = field(default_factory=list)
    won_units: Counter[int] = field(default_factory=Counter)
    new_users: int = 0
    oldest_ms: int = 0
    entries: list[DrawEntry] = field(default_factory=list)
    is_awaited: bool = False


def unrecorded(entries: Iterable[Entry], position: Position) -> list[Entry]:
    """Those of *entries* that *position* does not cover."""
    return [entry for entry in entries if not position.covers(entry)]


def versions_in(entries: Iterable[Entry]) -> set[int]:
    """Versions that held for the draws of *entries*."""
    return {entry.version for entry in entries if isinstance(entry, DrawEntry)}


def has_gap(entries: Iterable[Entry], position: Position) -> bool:
    """Whether some seq after *position* is missing from *entries*."""
    seq = position.seq
    for entry in entries:
        if isinstance(entry, DrawEntry):
            if entry.first_seq != seq + 1:
                return True
            seq = entry.last_seq
    return False


def build_batch(
    pool_id: int,
    position: Position,
    entries: Sequence[Entry],
    configs: Mapping[int, HeldConfig],
    gaps: Iterable[Gap] = (),
) -> Batch:
    """
    The batch that *entries* make, none of which *position* covers.

    Args:
        pool_id: The pool.
        position: How far it is recorded.
        entries: In the order of the ledger.
        configs: By version, all of versions_in(entries).
        gaps: Known gaps of the ledger.

    Raises:
        LedgerViolationError: A seq is missing or comes twice, a prize is unknown, or a blind box
            gave nothing.
    """
    batch = Batch(pool_id, position)
    skips = {gap.first_seq: gap.last_seq + 1 for gap in gaps}
    for entry in entries:
        if isinstance(entry, ConfigEntry):
            batch.configs.append(entry)
            batch.end = Position(batch.end.seq, entry.version)
        else:
            _check_order(pool_id, batch.end.seq + 1, entry, skips)
            _add_draws(batch, entry, configs[entry.version])
            batch.entries.append(entry)
            batch.is_awaited |= not entry.announced
            batch.end = Position(entry.last_seq, batch.end.version)
    return batch


def _check_order(pool_id: int, expected: int, entry: DrawEntry, skips: Mapping[int, int]) -> None:
    while expected in skips:
        expected = skips[expected]
    if entry.first_seq != expected:
        raise LedgerViolationError(
            f"pool {pool_id}: draw {expected} expected, but entry {entry.stream_id} "
            f"holds {entry.first_seq} to {entry.last_seq}"
        )


def _add_draws(batch: Batch, entry: DrawEntry, config: HeldConfig) -> None:
    drawn_at = datetime_of_ms(entry.drawn_ms)
    batch.oldest_ms = batch.oldest_ms or entry.drawn_ms
    activity_id, version = config.activity_id, entry.version
    for seq, draw in enumerate(entry.draws, entry.first_seq):
        user_id, request_id, index, count, user_draw_no, prize_id, ticket, weight, total, _ = draw
        prize_name = None
        if prize_id:
            win = _win(batch.pool_id, seq, draw, config, drawn_at)
            prize_name = win.prize_name
            batch.wins.append(win)
            batch.won_units[prize_id] += 1
        elif activity_id is None:
            raise LedgerViolationError(f"pool {batch.pool_id}: draw {seq} of a blind box is a miss")
        # fmt: off
        batch.rows.append((
            batch.pool_id, seq, activity_id, user_id, request_id.decode(), index, count,
            user_draw_no, version, prize_id or None, prize_name, ticket, weight, total, drawn_at,
        ))
        # fmt: on
        if user_draw_no == 1:
            batch.new_users += draw.is_new_user


def _win(pool_id: int, seq: int, draw: Draw, config: HeldConfig, drawn_at: datetime) -> WinnerRow:
    prize_id = draw.prize_id
    prize_name = config.prize_names.get(prize_id)
    if prize_name is None:
        raise LedgerViolationError(
            f"pool {pool_id}: draw {seq} won prize {prize_id}, which its configuration lacks"
        )
    code = prize_code(pool_id, seq, draw.code_bytes)
    return WinnerRow(seq, config.activity_id, draw.user_id, prize_id, prize_name, code, drawn_at)
