"""One draw, recomputed from its pool's seed; and the reveal of seeds whose pools have ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from cryptography.exceptions import InvalidTag
from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.errors import InvalidArgumentError, NotFoundError, UnavailableError
from services.common.postgres import load_queries
from services.common.tasks import repeat
from services.pool.configuration import config_of
from services.pool.ledger.entries import DrawEntry
from services.pool.ledger.reader import entry_of
from services.pool.marks.missing import refuse_if_answered
from services.pool.rule import fairness
from services.pool.rule.prize_code import code_prefix, prize_code
from services.pool.rule.selection import PPB, Mode, uniform
from services.pool.rule.terms import PoolConfig, PrizeConfig
from services.pool.seeds import SeedCipher
from services.pool.store.keys import DOCUMENT, STATE, key
from services.pool.store.layout import StateField

log = structlog.get_logger()
_queries: Any = load_queries(__file__)
_MAX_TOTAL = 1 << 47  # as far as selection.uniform goes
_Row = Mapping[str, Any]  # what draw_to_verify gives


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What was recomputed of a draw.

    Args:
        roll: 32 bytes.
        seed: Once revealed; else None.
        ticket, weight, total: As recorded.
    """

    valid: bool
    roll: bytes
    commitment: bytes
    seed: bytes | None
    explanation: str
    ticket: int
    weight: int
    total: int


class Prover:
    """Recomputes draws, and reveals seeds."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis, cipher: SeedCipher) -> None:
        self._postgres = postgres
        self._redis = redis
        self._cipher = cipher

    async def prove(self, pool_id: int, seq: int) -> Proof:
        """
        Recompute a draw, as Postgres has it or, until it is recorded, the ledger.

        Raises:
            NotFoundError: There is no such draw.
            UnavailableError: Its configuration is on its way between the two, or the store is an
                older copy, without the draw; ask again.
        """
        # The second look is for a draw that was recorded, and trimmed, between the first two.
        row = (
            await self._recorded(pool_id, seq)
            or await self._in_ledger(pool_id, seq)
            or await self._recorded(pool_id, seq)
        )
        if row is None:
            raise NotFoundError("There is no such draw.")
        seed = self._cipher.decrypt(pool_id, row["encrypted_seed"])
        return _prove(pool_id, seq, seed, row)

    async def _recorded(self, pool_id: int, seq: int) -> _Row | None:
        row: _Row | None = await _queries.draw_to_verify(self._postgres, pool_id=pool_id, seq=seq)
        return row

    async def _in_ledger(self, pool_id: int, seq: int) -> _Row | None:
        found = await entry_of(self._redis, pool_id, seq)
        if found is None:
            await refuse_if_answered(self._postgres, pool_id, seq)
            return None
        entry = found.entry
        # Its roll tells as much as its prize.
        if entry.draws[seq - entry.first_seq].prize_id and not found.may_be_told:
            raise UnavailableError("This draw is not confirmed yet; ask again in a moment.")
        pool = await _queries.pool_to_verify(self._postgres, pool_id=pool_id, version=entry.version)
        config = pool["config"] or await self._live_config(pool_id, entry.version)
        return {**pool, **_as_recorded(pool_id, seq, entry), "config": config}

    async def _live_config(self, pool_id: int, version: int) -> bytes:
        """A configuration that is not recorded yet: the live one, unless it just was."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(key(pool_id, STATE), StateField.VERSION)
            pipe.get(key(pool_id, DOCUMENT))
            live, document = await pipe.execute()
        if document is None or int(live) != version:
            raise UnavailableError("This draw is not verifiable yet; ask again in a moment.")
        config: bytes = document
        return config

    async def reveal_ended(self) -> int:
        """Reveal the seeds of pools that have ended and are recorded whole; how many."""
        rows = [row async for row in _queries.pools_to_reveal(self._postgres)]
        return sum([await self._reveal(row["pool_id"], row["encrypted_seed"]) for row in rows])

    async def _reveal(self, pool_id: int, encrypted_seed: bytes) -> bool:
        try:
            seed = self._cipher.decrypt(pool_id, encrypted_seed)
            await _queries.reveal(self._postgres, pool_id=pool_id, seed=seed)
        except (InvalidTag, asyncpg.IntegrityConstraintViolationError) as error:
            # An operator has to look at this one; the others' seeds are revealed all the same.
            log.error("seed not revealed", pool_id=pool_id, error=repr(error))
            return False
        log.info("seed revealed", pool_id=pool_id)
        return True

    async def reveal_while_running(self, every_s: float) -> None:
        """Look for ended pools until cancelled."""
        await repeat("reveal", self.reveal_ended, every_s)


def _as_recorded(pool_id: int, seq: int, entry: DrawEntry) -> _Row:
    """Draw *seq* of *entry* as it will be recorded, and listed."""
    draw = entry.draws[seq - entry.first_seq]
    prize_id, user_id = draw.prize_id or None, draw.user_id
    return {
        "user_id": user_id,
        "request_id": draw.request_id.decode(),
        "draw_index": draw.draw_index,
        "draw_count": draw.draw_count,
        "prize_id": prize_id,
        "ticket": draw.ticket,
        "odds_weight": draw.weight,
        "odds_total": draw.total,
        "listed_user_id": user_id if prize_id else None,
        "listed_prize_id": prize_id,
        "prize_code": prize_code(pool_id, seq, draw.code_bytes) if prize_id else None,
    }


def _prove(pool_id: int, seq: int, seed: bytes, row: _Row) -> Proof:
    # A last prize comes with the roll of the ticket before it.
    index = row["draw_index"] - _is_extra(row)
    roll = fairness.Roller(seed, pool_id).roll(row["user_id"], row["request_id"], index)
    faults = [
        *_seed_faults(row, seed),
        *_outcome_faults(row, roll, code_prefix(pool_id, seq)),
        *_config_faults(row),
    ]
    return Proof(
        valid=not faults,
        roll=roll,
        commitment=row["commitment"],
        seed=row["seed"],
        explanation=_explain(row, faults),
        ticket=row["ticket"],
        weight=row["odds_weight"],
        total=row["odds_total"],
    )


def _is_extra(row: _Row) -> bool:
    return bool(row["draw_index"] == row["draw_count"])


def _seed_faults(row: _Row, seed: bytes) -> Iterator[str]:
    if fairness.commitment(seed) != row["commitment"]:
        yield "the seed is not the one committed to"


def _outcome_faults(row: _Row, roll: bytes, prefix: str) -> Iterator[str]:
    """Where the roll, or the winner list, says otherwise than the record."""
    if not 1 <= row["odds_total"] <= _MAX_TOTAL:
        yield f"there is no draw among {row['odds_total']}"
        return
    ticket = 0 if _is_extra(row) else uniform(roll, row["odds_total"])
    if ticket != row["ticket"]:
        yield f"the roll gives ticket {ticket}"
    prize_id = row["prize_id"]
    listed = (row["listed_user_id"], row["listed_prize_id"])
    if listed != ((row["user_id"], prize_id) if prize_id else (None, None)):
        yield "the winner list says otherwise"
    elif prize_id and not row["prize_code"].startswith(prefix):
        yield "the prize code is another draw's"


def _config_faults(row: _Row) -> Iterator[str]:
    try:
        config = config_of(json_format.Parse(row["config"] or "", pool_pb2.PoolConfig()))
    except (json_format.ParseError, InvalidArgumentError):
        yield "the configuration that it names is not recorded"
        return
    yield from _odds_faults(row, config)


def _odds_faults(row: _Row, config: PoolConfig) -> Iterator[str]:
    """Where the configuration that held does not give the recorded odds."""
    prize_id, weight, total = row["prize_id"], row["odds_weight"], row["odds_total"]
    if config.mode is Mode.ODDS and total != PPB:
        yield "the odds are not in parts per billion"
    if not prize_id:
        if config.mode is not Mode.ODDS or row["ticket"] < total - weight:
            yield f"ticket {row['ticket']} is no miss"
        return
    prize = next((one for one in config.prizes if one.prize_id == prize_id), None)
    if prize is None or not _can_win(prize, _is_extra(row)):
        yield f"prize {prize_id} could not be won"
    elif not _may_weigh(prize, config.mode, weight):
        yield f"prize {prize_id} did not have {weight} of {total}"


def _can_win(prize: PrizeConfig, is_extra: bool) -> bool:
    return prize.enabled and not prize.retired and prize.last_prize == is_extra


def _may_weigh(prize: PrizeConfig, mode: Mode, weight: int) -> bool:
    if prize.last_prize:
        return weight == 1
    if mode is Mode.TICKETS or (mode is Mode.WEIGHTS and not prize.weight):
        return 1 <= weight <= prize.units
    return weight == prize.weight


def _explain(row: _Row, faults: list[str]) -> str:
    if faults:
        return f"The recorded result does not follow: {'; '.join(faults)}."
    outcome = f"prize {row['prize_id']}" if row["prize_id"] else "a miss"
    return (
        f"The roll gives ticket {row['ticket']} of {row['odds_total']}: {outcome}, "
        f"which had {row['odds_weight']} of them at that moment."
    )
