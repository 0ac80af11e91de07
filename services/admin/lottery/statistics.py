"""How the activities are going, and whether their books balance."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kuji.draw.v1 import pool_pb2

from services.admin.lottery.books import RecordedBooks, balance, moved
from services.admin.lottery.odds_check import OddsCheck, Trials, check_odds
from services.admin.lottery.odds_history import OddsHistory
from services.admin.models import PPB, ClaimCounts, Prize
from services.admin.publisher import PoolPublisher
from services.admin.store import RecordedPool, Rows, Store, Totals
from services.common.errors import ActivityNotFoundError
from services.common.timestamps import ms_of

MAX_ACTIVITIES = 100
_ATTEMPTS = 5
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class ActivityStatistics:
    """One activity, as recorded; by prize: what became of its wins, and the odds it had."""

    pool: RecordedPool
    prizes: Sequence[Prize]
    claims: Mapping[int, ClaimCounts]
    trials: Mapping[int, Trials]
    books_balance: bool


@dataclass(frozen=True, slots=True)
class Statistics:
    """Totals over all activities asked for, and the newest of them one by one."""

    totals: Totals
    recorder_lag_ms: int
    books_balance: bool
    activities: Sequence[ActivityStatistics]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Postgres at one instant; prizes by activity."""

    now: datetime
    totals: Totals
    pools: Sequence[RecordedPool]
    prizes: dict[int, list[Prize]]
    claims: dict[int, ClaimCounts]
    trials: dict[int, Trials]

    def books(self) -> dict[int, RecordedBooks]:
        """The books by pool."""
        return {
            pool.pool_id: RecordedBooks(
                pool.version, pool.recorded_seq, self.prizes[pool.activity_id]
            )
            for pool in self.pools
        }


@dataclass(frozen=True, slots=True)
class _BooksReading:
    """Postgres, the live store, and Postgres again. A pool that is not loaded has no state."""

    before: _Snapshot
    states: dict[int, pool_pb2.PoolState]
    after: _Snapshot

    def balances(self) -> dict[int, bool]:
        """Whether the books balance, by pool; those of a pool that is not loaded do not."""
        before, after = self.before.books(), self.after.books()
        return {
            pool_id: pool_id in self.states
            and balance(books, self.states[pool_id], after.get(pool_id, books))
            for pool_id, books in before.items()
        }

    def is_comparable(self) -> bool:
        """Whether no configuration changed between the three."""
        before, after = self.before.books(), self.after.books()
        return not any(
            moved(before[pool_id], state, after.get(pool_id, before[pool_id]))
            for pool_id, state in self.states.items()
        )

    def lag_ms(self) -> int:
        """Age of the oldest draw that is not recorded, of all pools; 0: all are."""
        waiting = [state.oldest_unrecorded_ms for state in self.states.values()]
        now_ms = ms_of(self.after.now)
        return max((now_ms - since_ms for since_ms in waiting if 0 < since_ms < now_ms), default=0)


class StatisticsReader:
    """Reads Postgres and the live store side by side."""

    def __init__(self, store: Store, publisher: PoolPublisher) -> None:
        self._store = store
        self._publisher = publisher
        self._odds = OddsHistory()

    async def read(self, activity_id: int) -> Statistics:
        """
        Statistics of one activity, or of all (0).

        Raises:
            ActivityNotFoundError: No such activity.
            UnavailableError: The live store cannot be asked.
        """
        reading = await self._settled_reading(activity_id)
        balances = reading.balances()
        return Statistics(
            totals=reading.before.totals,
            recorder_lag_ms=reading.lag_ms(),
            books_balance=all(balances.values()),
            activities=[
                ActivityStatistics(
                    pool,
                    reading.before.prizes[pool.activity_id],
                    reading.before.claims,
                    reading.before.trials,
                    balances[pool.pool_id],
                )
                for pool in reading.before.pools
            ],
        )

    async def _settled_reading(self, activity_id: int) -> _BooksReading:
        """A reading whose books balance, or do not although nobody changed the configuration."""
        for _ in range(_ATTEMPTS - 1):
            reading = await self._reading(activity_id)
            if all(reading.balances().values()) or reading.is_comparable():
                return reading
            await asyncio.sleep(_PAUSE_S)
        return await self._reading(activity_id)

    async def _reading(self, activity_id: int) -> _BooksReading:
        before = await self._snapshot(activity_id, with_odds=True)
        if activity_id and not before.pools:
            raise ActivityNotFoundError
        pool_ids = [pool.pool_id for pool in before.pools]
        states = await self._publisher.inspect(pool_ids) if pool_ids else {}
        return _BooksReading(before, states, await self._snapshot(activity_id))

    async def _snapshot(self, activity_id: int, with_odds: bool = False) -> _Snapshot:
        async with self._store.snapshot() as rows:
            pools = await rows.recorded_pools(activity_id, MAX_ACTIVITIES)
            prizes = await _prizes_by_activity(rows, pools)
            won = {one.prize_id: one.won_count for own in prizes.values() for one in own}
            return _Snapshot(
                now=await rows.now(),
                totals=await rows.totals(activity_id),
                pools=pools,
                prizes=prizes,
                claims=await rows.claims([pool.pool_id for pool in pools]),
                trials=await self._odds.trials(rows, pools, won) if with_odds else {},
            )


async def _prizes_by_activity(rows: Rows, pools: Sequence[RecordedPool]) -> dict[int, list[Prize]]:
    prizes: dict[int, list[Prize]] = defaultdict(list)
    for prize in await rows.prizes_of_pools([pool.pool_id for pool in pools]):
        prizes[prize.activity_id].append(prize)
    return prizes


def configured_probability(prize: Prize) -> float:
    """The chance of one draw as configured now, 0…1; 0 for a deleted prize."""
    return 0.0 if prize.is_deleted else prize.terms.probability_ppb / PPB


def observed_probability(prize: Prize, draws: int) -> float:
    """The share of the activity's *draws* that won *prize*; 0 before the first draw."""
    return prize.won_count / draws if draws else 0.0


def odds_check(prize: Prize, trials: Mapping[int, Trials]) -> OddsCheck | None:
    """Whether *prize* is won as often as its odds say; None where no draw's odds are recorded."""
    own = trials.get(prize.prize_id)
    return None if own is None else check_odds(own, prize.won_count)
