"""Batches: what of the ledger is written, and what stops the writing."""

import pytest

from services.pool.ledger.entries import ConfigEntry, Draw, DrawEntry, Entry, encode_entry
from services.recorder.batch import (
    Batch,
    Gap,
    LedgerViolationError,
    Position,
    build_batch,
    has_gap,
    unrecorded,
    versions_in,
)
from services.recorder.configs import HeldConfig
from services.recorder.held import HeldPool

CONFIGS = {3: HeldConfig(activity_id=8, prize_names={5: "A mug"})}


def draws(
    last_seq: int, count: int = 1, prize_id: int = 0, user_draw_no: int = 1, draw_index: int = 0
) -> DrawEntry:
    """An entry of *count* equal draws."""
    draw = Draw(
        1, b"r", draw_index, 1, user_draw_no, prize_id, 0, 1, 2, b"abcde" if prize_id else b""
    )
    return DrawEntry(last_seq, 1_700_000_000_000 + last_seq, 3, [draw] * count)


def config(after_seq: int, version: int) -> ConfigEntry:
    """A configuration entry."""
    return ConfigEntry(after_seq, version, "{}", [], 0)


def build(position: Position, *entries: Entry, gaps: tuple[Gap, ...] = ()) -> Batch:
    """The batch of *entries* of pool 2."""
    return build_batch(2, position, entries, CONFIGS, gaps)


def test_batch_leads_to_its_newest_draw_and_configuration() -> None:
    """The position it ends at covers all of its entries."""
    batch = build(Position(4, 3), draws(6, count=2), config(6, 7), draws(7))
    assert Position(7, 7) == batch.end
    assert [5, 6, 7] == [row[1] for row in batch.rows]


def test_entries_are_unrecorded_when_position_does_not_cover_them() -> None:
    """Draws are told by their seq, configurations by their version."""
    entries: list[Entry] = [config(0, 3), draws(4), config(4, 5), draws(5), config(5, 9)]
    assert entries[3:] == unrecorded(entries, Position(4, 5))
    assert {3} == versions_in(entries)


@pytest.mark.parametrize(
    "entry", [draws(6), draws(5, count=2), draws(4)], ids=["missing", "overlapping", "again"]
)
def test_batch_is_refused_when_seq_does_not_follow(entry: DrawEntry) -> None:
    """A draw that is missing, or comes twice, is a violation."""
    assert has_gap([entry], Position(4, 3))
    with pytest.raises(LedgerViolationError, match="draw 5 expected"):
        build(Position(4, 3), entry)


def test_batch_goes_on_when_gap_is_known() -> None:
    """What a rebuild has noted may be missing, several spans in a row too."""
    gaps = (Gap(5, 9), Gap(10, 19), Gap(30, 30))
    assert Position(20, 3) == build(Position(4, 3), draws(20), gaps=gaps).end


def test_batch_is_refused_when_only_part_of_the_gap_is_known() -> None:
    """A known gap excuses its own span alone."""
    with pytest.raises(LedgerViolationError, match="draw 10 expected"):
        build(Position(4, 3), draws(11), gaps=(Gap(5, 9),))


def test_batch_is_refused_when_prize_is_not_configured() -> None:
    """A prize that the configuration lacks cannot have been won."""
    with pytest.raises(LedgerViolationError, match="prize 6"):
        build(Position(4, 3), draws(5, prize_id=6))


def test_batch_counts_wins_and_first_draws() -> None:
    """Sums follow from the draws; a last prize, index n of n, is nobody's first draw."""
    batch = build(
        Position(0, 3),
        draws(2, count=2, prize_id=5),
        draws(3, user_draw_no=2),
        draws(4, prize_id=5, draw_index=1),
    )
    assert (3, {5: 3}, 2) == (len(batch.wins), dict(batch.won_units), batch.new_users)


def test_held_pool_takes_whole_entries_up_to_the_limit() -> None:
    """A batch ends with the entry that reaches the limit; positions follow the reading."""
    pool = HeldPool(2, Position(0, 3), 0)
    for entry in (draws(2, count=2), config(2, 7), draws(5, count=3), draws(6)):
        stream_id, fields = encode_entry(entry)
        raw = {
            name.encode(): value if isinstance(value, bytes) else str(value).encode()
            for name, value in fields.items()
        }
        pool.push((stream_id.encode(), raw))
    assert (Position(6, 7), 6) == (pool.read_to, pool.waiting_draws)
    assert [2, 2, 5] == [int(entry.stream_id.split("-")[0]) for entry in pool.take(4)]
    assert 1 == pool.waiting_draws
