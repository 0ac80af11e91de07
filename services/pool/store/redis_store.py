"""Pools in Redis: each step one Lua script."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from services.common.errors import OverloadedError, UnavailableError
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.rule.clock import ANY_TIME, Span
from services.pool.rule.selection import PPB, Mode, weight_of
from services.pool.rule.terms import (
    UNLIMITED,
    Answer,
    ConfigureCode,
    Configured,
    Confirm,
    DrawCode,
    Drawing,
    Drawn,
    Intent,
    LiveState,
    PoolConfig,
    Status,
    Stock,
    Voided,
)
from services.pool.store.blocks import BlockList
from services.pool.store.keys import (
    CONFIG,
    LEDGER,
    RECORDED,
    STATE,
    STOCK,
    USERS,
    key,
)
from services.pool.store.layout import (
    Known,
    PackedConfig,
    StateField,
    pack_config,
    unpack_config,
)
from services.pool.store.replicas import Replicas
from services.pool.store.scripts import load_script

_UNKNOWN_SHA = "0" * 40


class _Script:
    """A script that is sent by its hash, and whole when the server does not know it."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._script = load_script(name)
        self._sha = ""

    async def run(self, pool_id: int, *arguments: bytes | str | int) -> list[Any]:
        keys = [key(pool_id, name) for name in self._script.keys]
        try:
            packed = await self._evaluate_known(keys, arguments)
        except OutOfMemoryError as error:  # the server refuses before the script begins
            raise OverloadedError("The store is full; nothing was done.") from error
        return _reply(packed)

    async def _evaluate_known(
        self, keys: Sequence[str], arguments: Sequence[bytes | str | int]
    ) -> bytes:
        try:
            return await self._evaluate(keys, arguments)
        except NoScriptError:
            self._sha = await self._redis.script_load(self._script.source)
            return await self._evaluate(keys, arguments)

    async def _evaluate(self, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> bytes:
        command = ("EVALSHA", self._sha or _UNKNOWN_SHA, len(keys), *keys, *arguments)
        return cast(bytes, await self._redis.execute_command(*command))  # type: ignore[no-untyped-call]


class _Newest(NamedTuple):
    """The newest draw of a pool that was seen, and its time at the newest change."""

    seq: int
    clock_us: int


_NOTHING = _Newest(0, 0)


class ClockOffError(UnavailableError):
    """The store's clock jumped; nothing was done."""

    def __init__(self) -> None:
        super().__init__("A clock is off at this moment; nothing was done.", retry_after_ms=5000)


class RedisStore:
    """
    A PoolStore in Redis or Valkey.

    Args:
        redis: A client that does not decode responses, with timeouts set.
        max_backlog: Draws of a pool that may wait for the recorder.
        is_behind: Whether a pool's wins could not be confirmed by record in time.
        blocks: Who may not draw; None: the list as Redis has it.
        believed: What the store's clock may show at this moment.
        replicas: Confirm the draws of pools that ask for it; None: there is no such pool here.
    """

    def __init__(
        self,
        redis: Redis,
        max_backlog: int,
        is_behind: Callable[[int], bool] = lambda _: False,
        blocks: BlockList | None = None,
        believed: Callable[[], Span] = lambda: ANY_TIME,
        replicas: Replicas | None = None,
    ) -> None:
        self._redis = redis
        self.blocks = blocks or BlockList(redis)
        self._max_backlog = max_backlog
        self._is_behind = is_behind
        self._believed = believed
        self._replicas = replicas
        self._newest: dict[int, _Newest] = {}
        self._draw = _Script(redis, "draw")
        self._configure = _Script(redis, "configure")
        self._void = _Script(redis, "void")

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See PoolStore."""
        if self._replicas is not None:
            self._replicas.check(pool_id)
        blocked = await self.blocks.of(intent.user_id for intent in intents)
        now_ms, version, replies, chain, confirm, clock_us = await self._draw.run(
            pool_id,
            msgpack.packb(intents, use_bin_type=False),
            self._max_backlog,
            int(self._is_behind(pool_id)),
            msgpack.packb(blocked),
            self._known(pool_id),
        )
        answers = [_answer(reply) for reply in replies]
        newest_seq = max(answer.first_seq + answer.places - 1 for answer in answers)
        self._note(pool_id, newest_seq, clock_us)
        await self._replicate(pool_id, Confirm(confirm))
        return Drawing(now_ms, version, answers, chain.decode(), Confirm(confirm), clock_us)

    async def _replicate(self, pool_id: int, confirm: Confirm) -> None:
        if self._replicas is None:
            return
        if confirm is Confirm.REPLICA:
            await self._replicas.confirm(pool_id)
        else:
            self._replicas.forget(pool_id)

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """See PoolStore."""
        first_seq, places, clock_us = await self._void.run(
            pool_id, digest, draws, self._known(pool_id)
        )
        if first_seq == DrawCode.CLOCK_OFF:
            raise ClockOffError
        if first_seq == DrawCode.NOT_LOADED:
            return None
        self._note(pool_id, 0, clock_us)
        return Voided(first_seq, places)

    def note_seq(self, pool_id: int, seq: int) -> None:
        """Remember that draw *seq* was made: a store that does not have it is not drawn from."""
        self._note(pool_id, seq, 0)

    def _note(self, pool_id: int, seq: int, clock_us: int) -> None:
        known = self._newest.get(pool_id, _NOTHING)
        self._newest[pool_id] = _Newest(max(known.seq, seq), max(known.clock_us, clock_us))

    def _known(self, pool_id: int) -> bytes:
        return Known(*self._newest.get(pool_id, _NOTHING), *self._believed()).pack()

    async def configure(
        self, pool_id: int, expected_version: int, version: int, config: PoolConfig, document: str
    ) -> Configured:
        """See PoolStore."""
        reply = await self._configure.run(
            pool_id,
            expected_version,
            version,
            pack_config(version, config),
            document,
            self._known(pool_id),
        )
        configured = _configured(reply)
        self._note(pool_id, configured.seq, configured.clock_us)
        return configured

    async def inspect(self, pool_id: int) -> LiveState | None:
        """See PoolStore."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(
                key(pool_id, STATE), [StateField.VERSION, StateField.SEQ, StateField.LAST_MS]
            )
            pipe.get(key(pool_id, CONFIG))
            pipe.hgetall(key(pool_id, STOCK))
            pipe.hlen(key(pool_id, USERS))
            pipe.xlen(key(pool_id, LEDGER))
            pipe.get(key(pool_id, RECORDED))
            (version, seq, last_ms), packed, stock, users, entries, recorded = await pipe.execute()
        if packed is None:
            return None
        config = unpack_config(packed)
        stocks = _stocks(config, stock)
        weights = _weights(config, stocks)
        return LiveState(
            pool_id=pool_id,
            version=int(version),
            status=Status(config.status),
            weights=weights,
            odds_total=PPB if config.mode == Mode.ODDS else sum(weights.values()),
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


def _stocks(config: PackedConfig, left: Mapping[bytes, bytes]) -> list[Stock]:
    return [
        Stock(prize.id, prize.units, int(left.get(str(prize.id).encode(), UNLIMITED)))
        for prize in [*config.prizes, *config.retired_prizes]
    ]


def _weights(config: PackedConfig, stocks: Sequence[Stock]) -> dict[int, int]:
    left = {stock.prize_id: None if stock.left == UNLIMITED else stock.left for stock in stocks}
    return {
        prize.id: 0
        if prize.is_last or not prize.enabled
        else weight_of(Mode(config.mode), prize.weight, left[prize.id])
        for prize in config.prizes
    }


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


def configured_of(packed: bytes) -> Configured:
    """What the configure script's reply says."""
    return _configured(_reply(packed))


def _reply(packed: bytes) -> list[Any]:
    reply: list[Any] = msgpack.unpackb(packed, raw=True)
    return reply


def _configured(reply: list[Any]) -> Configured:
    match reply:
        case [ConfigureCode.CONFIGURED, seq, stocks, clock_us]:
            left = [Stock(*stock) for stock in stocks]
            return Configured(ConfigureCode.CONFIGURED, seq, left, clock_us=clock_us)
        case [code, detail, won]:
            return Configured(ConfigureCode(code), detail=detail, won=won)
        case [code, detail]:
            return Configured(ConfigureCode(code), detail=detail)
    raise ValueError(f"the configure script answered {reply!r}")
