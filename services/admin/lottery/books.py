"""Whether the books balance: what Postgres has recorded against what the live store holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from kuji.draw.v1 import pool_pb2

from services.admin.models import Prize


@dataclass(frozen=True, slots=True)
class RecordedBooks:
    """
    One pool as recorded at one instant.

    Args:
        version: The configuration that Postgres takes for the newest.
        recorded_seq: The newest draw recorded.
        prizes: All of the pool, the deleted included.
    """

    version: int
    recorded_seq: int
    prizes: Sequence[Prize]


def balance(before: RecordedBooks, state: pool_pb2.PoolState, after: RecordedBooks) -> bool:
    """
    Whether units = remaining + won holds for every prize, in both places.

    Args:
        before: Read before *state*.
        state: The live store's.
        after: Read after *state*.

    The two places are never seen at one instant. Where the newest draw of *state* is the newest
    one recorded, either time, they have to agree to the unit. Else the draws between are in
    flight, and no more units may be missing than there are such draws.
    """
    for books in (before, after):
        if (books.version, books.recorded_seq) == (state.version, state.last_seq):
            return _units_agree(books, state) and not any(_missing(books, state))
    return _units_agree(before, state) and _explained(
        _missing(before, state), state.last_seq - before.recorded_seq
    )


def moved(before: RecordedBooks, state: pool_pb2.PoolState, after: RecordedBooks) -> bool:
    """Whether the configuration changed between the readings, so that they cannot be compared."""
    return not before.version == state.version == after.version


def _units_agree(books: RecordedBooks, state: pool_pb2.PoolState) -> bool:
    live = {stock.prize_id: stock.units for stock in state.stocks}
    recorded = {
        prize.prize_id: prize.drawn_from
        for prize in books.prizes
        if prize.prize_id in live or not prize.is_deleted
    }
    return recorded == live and all(stock.remaining >= 0 for stock in state.stocks)


def _missing(books: RecordedBooks, state: pool_pb2.PoolState) -> list[int]:
    """Units that are recorded as left but are not in the live store, prize by prize."""
    live = {stock.prize_id: stock.remaining for stock in state.stocks}
    # The live store forgets what is deleted: nothing is left of it.
    return [prize.remaining_count - live.get(prize.prize_id, 0) for prize in books.prizes]


def _explained(missing: Sequence[int], in_flight: int) -> bool:
    return all(units >= 0 for units in missing) and sum(missing) <= in_flight
