"""Pools in Redis: each step one Lua script."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from services.common.errors import OverloadedError
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.rule.selection import PPB, Mode, weight_of
from services.pool.rule.terms import (
    UNLIMITED,
    Answer,
    ConfigureCode,
    Configured,
    DrawCode,
    Drawing,
    Drawn,
    Intent,
    LiveState,
    PoolConfig,
    PrizeConfig,
    Status,
    Stock,
    Voided,
)
from services.pool.store.keys import (
    BLOCKED,
    CONFIG,
    DOCUMENT,
    LEDGER,
    RECORDED,
    REQUESTS,
    STATE,
    STOCK,
    USERS,
    key,
)
from services.pool.store.scripts import load_script

_DRAW_KEYS = (CONFIG, STATE, STOCK, USERS, *REQUESTS, BLOCKED, LEDGER, RECORDED)
_CONFIGURE_KEYS = (CONFIG, STATE, STOCK, DOCUMENT, LEDGER)
_VOID_KEYS = (STATE, *REQUESTS)
_UNKNOWN_SHA = "0" * 40


class _Script:
    """A script that is sent by its hash, and whole when the server does not know it."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._source = load_script(name)
        self._sha = ""

    async def run(self, keys: Sequence[str], *arguments: bytes | str | int) -> list[Any]:
        try:
            packed = await self._evaluate_known(keys, arguments)
        except OutOfMemoryError as error:  # the server refuses before the script begins
            raise OverloadedError("The store is full; nothing was done.") from error
        reply: list[Any] = msgpack.unpackb(packed, raw=True)
        return reply

    async def _evaluate_known(
        self, keys: Sequence[str], arguments: Sequence[bytes | str | int]
    ) -> bytes:
        try:
            return await self._evaluate(keys, arguments)
        except NoScriptError:
            self._sha = await self._redis.script_load(self._source)
            return await self._evaluate(keys, arguments)

    async def _evaluate(self, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> bytes:
        command = ("EVALSHA", self._sha or _UNKNOWN_SHA, len(keys), *keys, *arguments)
        return cast(bytes, await self._redis.execute_command(*command))  # type: ignore[no-untyped-call]


class RedisStore:
    """
    A PoolStore in Redis or Valkey.

    Args:
        redis: A client that does not decode responses, with timeouts set.
        max_backlog: Draws of a pool that may wait for the recorder.
    """

    def __init__(self, redis: Redis, max_backlog: int) -> None:
        self._redis = redis
        self._max_backlog = max_backlog
        self._newest_seq: dict[int, int] = {}
        self._draw = _Script(redis, "draw")
        self._configure = _Script(redis, "configure")
        self._void = _Script(redis, "void")

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See PoolStore."""
        keys = [key(pool_id, name) for name in _DRAW_KEYS]
        packed = msgpack.packb(intents, use_bin_type=False)
        now_ms, version, replies, chain = await self._draw.run(
            keys, packed, self._max_backlog, self._newest_seq.get(pool_id, 0)
        )
        answers = [_answer(reply) for reply in replies]
        self.note_seq(pool_id, max(answer.first_seq + answer.places - 1 for answer in answers))
        return Drawing(now_ms, version, answers, chain.decode())

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """See PoolStore."""
        keys = [key(pool_id, name) for name in _VOID_KEYS]
        voided = Voided(*await self._void.run(keys, digest, draws))
        return None if voided.first_seq < 0 else voided

    def note_seq(self, pool_id: int, seq: int) -> None:
        """Remember that draw *seq* was made: a store that does not have it is not drawn from."""
        if seq > self._newest_seq.get(pool_id, 0):
            self._newest_seq[pool_id] = seq

    async def set_block(self, pool_id: int, user_id: int, until_ms: int | None) -> None:
        """Block a user until *until_ms* (0: for good), or lift the block (None)."""
        blocked = key(pool_id, BLOCKED)
        if until_ms is None:
            await self._redis.hdel(blocked, str(user_id))
        else:
            await self._redis.hset(blocked, str(user_id), str(until_ms))

    async def set_blocks(self, pool_id: int, blocks: Mapping[int, int]) -> None:
        """The blocks of a pool, as user id → until_ms, instead of those it has."""
        blocked = key(pool_id, BLOCKED)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(blocked)
            if blocks:
                pipe.hset(blocked, mapping={str(user): until for user, until in blocks.items()})
            await pipe.execute()

    async def configure(
        self, pool_id: int, expected_version: int, version: int, config: PoolConfig, document: str
    ) -> Configured:
        """See PoolStore."""
        keys = [key(pool_id, name) for name in _CONFIGURE_KEYS]
        reply = await self._configure.run(
            keys, expected_version, version, pack_config(version, config), document
        )
        return _configured(reply)

    async def inspect(self, pool_id: int) -> LiveState | None:
        """See PoolStore."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(key(pool_id, STATE), ["version", "seq", "last_ms"])
            pipe.get(key(pool_id, CONFIG))
            pipe.hgetall(key(pool_id, STOCK))
            pipe.hlen(key(pool_id, USERS))
            pipe.xlen(key(pool_id, LEDGER))
            pipe.get(key(pool_id, RECORDED))
            (version, seq, last_ms), packed, stock, users, entries, recorded = await pipe.execute()
        if packed is None:
            return None
        config = _LiveConfig(packed)
        stocks = config.stocks(stock)
        weights = config.weights({one.prize_id: one.left for one in stocks})
        return LiveState(
            pool_id=pool_id,
            version=int(version),
            status=config.status,
            weights=weights,
            odds_total=PPB if config.mode is Mode.ODDS else sum(weights.values()),
            seq=int(seq),
            last_ms=int(last_ms or 0),
            oldest_unrecorded_ms=await self._drawn_after(pool_id, int(recorded or 0), int(seq)),
            stocks=stocks,
            users=users,
            ledger_entries=entries,
        )

    async def _drawn_after(self, pool_id: int, recorded: int, seq: int) -> int:
        """When the first draw after *recorded* was made; 0: there is none up to *seq*."""
        if recorded >= seq:
            return 0
        reply = await self._redis.xrange(key(pool_id, LEDGER), f"{recorded + 1}-0", "+", count=1)
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], reply)
        for stream_id, fields in entries:
            entry = decode_entry(stream_id, fields)
            return entry.drawn_ms if isinstance(entry, DrawEntry) else 0
        return 0


class _LiveConfig:
    """A configuration as lua/include/layout.lua has it, read back."""

    def __init__(self, packed: bytes) -> None:
        fields = msgpack.unpackb(packed, raw=True)
        self.mode, self.status = Mode(fields[1]), Status(fields[2])
        self._live, self._retired = fields[10], fields[11]

    def stocks(self, left: Mapping[bytes, bytes]) -> list[Stock]:
        return [
            Stock(prize_id, units, int(left.get(str(prize_id).encode(), UNLIMITED)))
            for prize_id, _, _, _, units, _ in [*self._live, *self._retired]
        ]

    def weights(self, left: Mapping[int, int]) -> dict[int, int]:
        return {
            prize_id: weight_of(
                self.mode, weight, None if left[prize_id] == UNLIMITED else left[prize_id]
            )
            if enabled and not last_prize
            else 0
            for prize_id, weight, enabled, _, _, last_prize in self._live
        }


def pack_config(version: int, config: PoolConfig) -> bytes:
    """*config* as lua/include/layout.lua reads it."""
    live = [_pack_prize(prize) for prize in config.prizes if not prize.retired]
    retired = [_pack_prize(prize) for prize in config.prizes if prize.retired]
    packed: bytes = msgpack.packb(
        [
            version,
            config.mode,
            config.status,
            config.start_ms,
            config.end_ms,
            config.cooldown_ms,
            config.draws_per_user,
            config.draws_per_day,
            config.wins_per_user,
            config.day_offset_ms,
            live,
            retired,
            config.protection_ms,
        ]
    )
    return packed


def _pack_prize(prize: PrizeConfig) -> list[int | bool]:
    return [
        prize.prize_id,
        prize.weight,
        prize.enabled,
        prize.wins_per_user,
        prize.units,
        prize.last_prize,
    ]


def _answer(reply: list[Any]) -> Answer:
    match reply:
        case [DrawCode.DRAWN, first_seq, draws_left, next_ms, draws]:
            outcomes = [Drawn(*draw) for draw in draws]
            return Answer(DrawCode.DRAWN, first_seq, len(draws), draws_left, next_ms, outcomes)
        case [DrawCode.REPLAYED, first_seq, draws_left, next_ms, count]:
            return Answer(DrawCode.REPLAYED, first_seq, count, draws_left, next_ms)
        case [code, detail]:
            return Answer(DrawCode(code), detail=detail)
        case [code]:
            return Answer(DrawCode(code))
    raise ValueError(f"the draw script answered {reply!r}")


def _configured(reply: list[Any]) -> Configured:
    match reply:
        case [ConfigureCode.CONFIGURED, seq, stocks]:
            return Configured(ConfigureCode.CONFIGURED, seq, [Stock(*stock) for stock in stocks])
        case [code, detail, won]:
            return Configured(ConfigureCode(code), detail=detail, won=won)
        case [code, detail]:
            return Configured(ConfigureCode(code), detail=detail)
    raise ValueError(f"the configure script answered {reply!r}")
