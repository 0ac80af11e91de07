"""The odds that every draw of a pool had, as its ledger has them: what wins are held against."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from cachetools import LRUCache
from google.protobuf import json_format
from kuji.draw.v1.pool_pb2 import PoolConfig

from services.admin.lottery import odds_store
from services.admin.lottery.odds_check import Trials
from services.admin.models import PPB
from services.admin.store import RecordedPool, Rows

_KNOWN_POOLS = 200
_KNOWN_VERSIONS = 200
_KNOWN_SOLD_OUT = 10_000


class PrizeChance(NamedTuple):
    """A prize in one version: units in all and left when it began; odds in parts per billion."""

    units: int
    left: int
    weight_ppb: int
    is_limited: bool


class OddsVersion(NamedTuple):
    """Odds and units that held for the draws after *after_seq*, by prize."""

    version: int
    after_seq: int
    prizes: Mapping[int, PrizeChance]


class SoldOut(NamedTuple):
    """A prize that was sold out in a version of its pool."""

    pool_id: int
    version: int
    prize_id: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What a pool's closed versions come to, and the open one, *version*."""

    version: int
    after_seq: int
    trials: Mapping[int, Trials]

    def goes_on(self, versions: Sequence[OddsVersion]) -> bool:
        """Whether *versions* begin with the open one."""
        return bool(versions) and (self.version, self.after_seq) == versions[0][:2]


class _Ledger(NamedTuple):
    """What is recorded of a pool: *versions* that are not added up yet, and spans without draws."""

    rows: Rows
    pool: RecordedPool
    versions: Sequence[OddsVersion]
    gaps: Sequence[tuple[int, int]]


class OddsHistory:
    """
    Adds up the odds of all draws, by prize.

    What is closed never changes: it is added up once, and kept in this process's memory.
    """

    def __init__(self) -> None:
        self._known: LRUCache[int, _Known] = LRUCache(_KNOWN_POOLS)
        self._versions: LRUCache[tuple[int, int, int], OddsVersion] = LRUCache(_KNOWN_VERSIONS)
        self._sold_out: LRUCache[SoldOut, int] = LRUCache(_KNOWN_SOLD_OUT)

    async def trials(
        self, rows: Rows, pools: Sequence[RecordedPool], won: Mapping[int, int]
    ) -> dict[int, Trials]:
        """
        By prize: the recorded draws that could win it. Prizes of no recorded version are left out.

        Args:
            rows: The snapshot that *pools* and *won* are from.
            won: Wins by prize, as recorded.
        """
        known = {pool.pool_id: self._known.get(pool.pool_id) for pool in pools}
        versions = await self._read(
            rows, {of: one.version if one else 0 for of, one in known.items()}
        )
        # A snapshot from before what is known, or a Postgres that was put back.
        again = [of for of, one in known.items() if one and not one.goes_on(versions[of])]
        if again:
            known |= dict.fromkeys(again)
            versions |= await self._read(rows, dict.fromkeys(again, 0))
        gaps = await odds_store.gaps(rows.connection, list(known))
        found: dict[int, Trials] = {}
        for pool in pools:
            if own := versions[pool.pool_id]:
                since = known[pool.pool_id]
                ledger = _Ledger(rows, pool, own, gaps[pool.pool_id])
                found |= await self._of_pool(ledger, since.trials if since else {}, won)
        return found

    async def _read(self, rows: Rows, since: Mapping[int, int]) -> dict[int, list[OddsVersion]]:
        """The versions of each pool from the one in *since* on, oldest first."""
        found: dict[int, list[OddsVersion]] = {pool_id: [] for pool_id in since}
        async for pool_id, number, after_seq, config, units in odds_store.versions(
            rows.connection, since
        ):
            version = self._versions.get((pool_id, number, after_seq))
            if version is None:
                await asyncio.sleep(0)  # hundreds of prizes take milliseconds
                version = OddsVersion(number, after_seq, _terms(config, units))
                self._versions[pool_id, number, after_seq] = version
            found[pool_id].append(version)
        return found

    async def _of_pool(
        self, ledger: _Ledger, known: Mapping[int, Trials], won: Mapping[int, int]
    ) -> dict[int, Trials]:
        trials = dict(known)
        for version, following in pairwise(ledger.versions):
            ends = {
                prize_id: (following.after_seq, left_before(terms, following.prizes.get(prize_id)))
                for prize_id, terms in version.prizes.items()
            }
            await self._add(trials, ledger, version, ends)
        last = ledger.versions[-1]
        self._known[ledger.pool.pool_id] = _Known(last.version, last.after_seq, trials.copy())
        ends = {
            prize_id: (ledger.pool.recorded_seq, terms.units - won.get(prize_id, 0))
            for prize_id, terms in last.prizes.items()
        }
        await self._add(trials, ledger, last, ends)
        return trials

    async def _add(
        self,
        trials: dict[int, Trials],
        ledger: _Ledger,
        version: OddsVersion,
        ends: Mapping[int, tuple[int, int]],
    ) -> None:
        """Add a version; *ends*: by prize, the version's last draw, and the units left then."""
        for prize_id, terms in version.prizes.items():
            trials.setdefault(prize_id, Trials())
            if terms.left <= 0 or terms.weight_ppb <= 0:
                continue
            last_seq, left = ends[prize_id]
            if left <= 0:
                sold_out = SoldOut(ledger.pool.pool_id, version.version, prize_id)
                last_seq = await self._last_win(ledger.rows, sold_out, last_seq)
            draws = draws_between(version.after_seq, last_seq, ledger.gaps)
            wins = draws * terms.weight_ppb / PPB
            trials[prize_id] += Trials(draws, wins, terms.is_limited and draws > 0)

    async def _last_win(self, rows: Rows, sold_out: SoldOut, last_seq: int) -> int:
        # The last unit went with the last win: nobody wins what is sold out.
        seq = self._sold_out.get(sold_out)
        if seq is None:
            seq = await odds_store.last_win(
                rows.connection, sold_out.pool_id, sold_out.prize_id, last_seq
            )
            self._sold_out[sold_out] = seq
        return seq


def left_before(terms: PrizeChance, following: PrizeChance | None) -> int:
    """Units left of a prize when the version after *terms* began, before what that one changed."""
    return terms.left if following is None else following.left - (following.units - terms.units)


def draws_between(after: int, last: int, gaps: Iterable[tuple[int, int]]) -> int:
    """Draws after *after*, up to *last*; *gaps*: the first and last of those that never were."""
    missing = sum(max(0, min(last, end) - max(after, start - 1)) for start, end in gaps)
    return max(0, last - after - missing)


def _terms(config_json: str, units_json: str) -> dict[int, PrizeChance]:
    config = json_format.Parse(config_json, PoolConfig(), ignore_unknown_fields=True)
    left = {prize_id: units_left for prize_id, _, units_left in json.loads(units_json)}
    return {
        prize.prize_id: PrizeChance(
            prize.units,
            left.get(prize.prize_id, 0),
            prize.weight if prize.enabled and not prize.retired else 0,
            prize.wins_per_user > 0,
        )
        for prize in config.prizes
    }
