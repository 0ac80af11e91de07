"""Pools in Redis: each step one Lua script."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from services.common.addresses import Network
from services.common.errors import OverloadedError, UnavailableError
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.marks.mark import Mark, MarkBounds
from services.pool.rule.clock import ANY_TIME, ClockSpan
from services.pool.rule.selection import PPB, Mode, weight_of
from services.pool.rule.terms import (
    LATE_DRAWS,
    UNLIMITED,
    Answer,
    Blocked,
    ConfigureCode,
    Configured,
    Confirm,
    DrawCode,
    Drawing,
    Drawn,
    Intent,
    LiveState,
    Opening,
    PoolConfig,
    PoolStatus,
    Stock,
    TicketPolicy,
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
    AnswerColumns,
    DrawnColumns,
    Known,
    PackedConfig,
    StateField,
    pack_config,
    unpack_config,
)
from services.pool.store.replicas import Replicas
from services.pool.store.runs import Run, Runs
from services.pool.store.scripts import load_script
from services.pool.store.witness import OwnMemory, Witness

_SCRIPTS = ("draw", "configure", "void", "skip", "opening")
# Runs of the store that end, ranges of draw ids and lists of blocks, that one call may see.
_ATTEMPTS = 6
_SKIP_CLOCK_OFF = -1
_CODES = {int(code): code for code in DrawCode}
_DRAWN, _REPLAYED = DrawCode.DRAWN, DrawCode.REPLAYED
_POSITION = [StateField.SEQ, StateField.CLOCK_US, StateField.LAST_MS]
_Arguments = Callable[[Run], Awaitable[Sequence[bytes | str | int]]]


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
        witness: Remembers how far pools were, so that no older copy is used.
        late_draws: Draws that users may make of a lottery with nothing left to be won.
    """

    def __init__(
        self,
        redis: Redis,
        max_backlog: int,
        is_behind: Callable[[int], bool] = lambda _: False,
        blocks: BlockList | None = None,
        believed: Callable[[], ClockSpan] = lambda: ANY_TIME,
        replicas: Replicas | None = None,
        witness: Witness | None = None,
        late_draws: int = LATE_DRAWS,
    ) -> None:
        self._redis = redis
        self.blocks = blocks or BlockList(redis)
        self._max_backlog = max_backlog
        self._is_behind = is_behind
        self._believed = believed
        self._replicas = replicas
        self._late_draws = late_draws
        self._witness = witness or OwnMemory()
        self._scripts = {name: load_script(name) for name in _SCRIPTS}
        self._runs = Runs(redis, self._scripts, self._witness.enter)

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See PoolStore. Its answers may leave once the witness has sealed them."""
        if self._replicas is not None:
            self._replicas.check(pool_id)
        columns = list(zip(*intents, strict=True))[:-1]
        packed = msgpack.packb(columns, use_bin_type=False)

        async def arguments(run: Run) -> list[bytes | int]:
            is_behind = int(self._is_behind(pool_id))
            blocked = msgpack.packb(await self._blocked(intents, run))
            list_is = self.blocks.state(run.run_id).pack()
            return [packed, self._max_backlog, is_behind, blocked, list_is, self._late_draws]

        reply = await self._call("draw", pool_id, arguments)
        now_ms, version, chain, confirm, clock_us, told, drawn = reply
        answers = answers_of(AnswerColumns(*told), DrawnColumns(*drawn))
        if answers[0].code is DrawCode.NOT_LOADED:
            self._witness.missed(pool_id)
        else:
            newest_seq = max(answer.first_seq + answer.places - 1 for answer in answers)
            self._witness.note(pool_id, Mark(newest_seq, clock_us))
        await self._replicate(pool_id, Confirm(confirm))
        return Drawing(now_ms, version, answers, chain.decode(), Confirm(confirm), clock_us)

    async def _blocked(self, intents: Sequence[Intent], run: Run) -> list[Blocked]:
        """Those that the script cannot find itself."""
        if run.is_cluster:
            return await self.blocks.of(intents, run.run_id)
        return self.blocks.by_address(intents)

    async def _replicate(self, pool_id: int, confirm: Confirm) -> None:
        if self._replicas is None:
            return
        if confirm is Confirm.REPLICA:
            await self._replicas.confirm(pool_id)
        else:
            self._replicas.forget(pool_id)

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """See PoolStore."""
        first_seq, places, clock_us = await self._call("void", pool_id, _given(digest, draws))
        if first_seq == DrawCode.CLOCK_OFF:
            raise ClockOffError
        if first_seq == DrawCode.NOT_LOADED:
            self._witness.missed(pool_id)
            return None
        await self._seal(pool_id, Mark(0, clock_us))
        return Voided(first_seq, places)

    async def configure(
        self, pool_id: int, expected_version: int, version: int, config: PoolConfig, document: str
    ) -> Configured:
        """See PoolStore."""
        packed = pack_config(version, config)
        arguments = _given(expected_version, version, packed, document)
        configured = _configured(await self._call("configure", pool_id, arguments))
        if configured.code is ConfigureCode.CONFIGURED:
            await self._seal(pool_id, Mark(configured.seq, configured.clock_us))
        elif configured.code is ConfigureCode.NOT_LOADED:
            self._witness.missed(pool_id)
        return configured

    async def opening(self, pool_id: int) -> Opening | None:
        """See PoolStore."""
        now_ms, *rest = await self._call("opening", pool_id, _given())
        if now_ms == DrawCode.CLOCK_OFF:
            raise ClockOffError
        if now_ms == DrawCode.NOT_LOADED:
            self._witness.missed(pool_id)
            return None
        status, opening_ms, required, difficulty, spread_ms = rest
        policy = TicketPolicy(bool(required), difficulty, spread_ms)
        return Opening(now_ms, PoolStatus(status), opening_ms, policy)

    async def block(self, user_id: int, until_ms: int | None) -> None:
        """
        Block a user, see BlockList.set.

        Raises:
            PoolNotLoadedError: The store is older than what was answered.
        """
        await self.look_over()
        await self.blocks.set(user_id, until_ms)

    async def block_network(self, network: Network, until_ms: int | None) -> None:
        """
        Block a range of addresses, see BlockList.set_network.

        Raises:
            PoolNotLoadedError: The store is older than what was answered.
        """
        await self.look_over()
        await self.blocks.set_network(network, until_ms)

    async def get_ready(self, pool_ids: Sequence[int]) -> None:
        """Know what the present run needs of Postgres to draw from these pools: it may go away."""
        await self._runs.look()
        run = await self._runs.current()
        await self.blocks.learn(run.run_id)
        await self._witness.open_all(pool_ids, self)

    async def look_over(self) -> None:
        """PoolNotLoadedError where the store is older than what was answered, in any pool."""
        await self._runs.look()
        await self.check()

    async def check(self) -> None:
        """look_over(), where the present run is known already."""
        await self._witness.check(self)

    async def positions(self, pool_ids: Sequence[int]) -> dict[int, Mark]:
        """See StorePositions."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for pool_id in pool_ids:
                pipe.hmget(key(pool_id, STATE), _POSITION)
            states = zip(pool_ids, await pipe.execute(), strict=True)
        return {
            pool_id: Mark(int(seq), _clock_us(clock_us, last_ms))
            for pool_id, (seq, clock_us, last_ms) in states
            if seq is not None
        }

    async def skip_to(self, pool_id: int, seq: int, mark: Mark) -> None:
        """See StorePositions."""
        run = await self._runs.current()
        keys = self._keys("skip", pool_id, run)
        known = self._known(MarkBounds(mark))
        if int(await self._runs.call(run, "skip", keys, seq, known)) == _SKIP_CLOCK_OFF:
            raise ClockOffError

    async def _call(self, name: str, pool_id: int, arguments: _Arguments) -> list[Any]:
        """The reply of a script, whatever run the store is in."""
        run = await self._runs.current()
        for _ in range(_ATTEMPTS):
            try:
                bounds = self._witness.known(pool_id) or await self._witness.open(pool_id, self)
                given = [*await arguments(run), self._known(bounds)]
                keys = self._keys(name, pool_id, run)
                reply = _reply(await self._runs.call(run, name, keys, *given))
            except NoScriptError:
                run = await self._runs.after(run)
            except OutOfMemoryError as error:  # the server refuses before the script begins
                raise OverloadedError("The store is full; nothing was done.") from error
            else:
                if len(reply) > 1:
                    return reply
                await self._learn(pool_id, reply, run)
        raise UnavailableError

    async def _learn(self, pool_id: int, reply: Sequence[int], run: Run) -> None:
        """What a script has to know, to begin: the list of blocks as it is, or further ids."""
        if reply:
            await self._witness.reserve(pool_id, *reply)
        else:
            await self.blocks.learn(run.run_id)

    def _keys(self, name: str, pool_id: int, run: Run) -> list[str]:
        script = self._scripts[name]
        keys = [key(pool_id, one) for one in script.keys]
        return keys if run.is_cluster else [*keys, *script.other_keys]

    def _known(self, bounds: MarkBounds) -> bytes:
        return Known(*bounds.mark, bounds.last_seq, *self._believed()).pack()

    async def _seal(self, pool_id: int, mark: Mark) -> None:
        self._witness.note(pool_id, mark)
        sealed = self._witness.sealed(pool_id)
        if sealed is not None:
            await asyncio.shield(sealed)

    async def inspect(self, pool_id: int) -> LiveState | None:
        """See PoolStore."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(key(pool_id, STATE), [StateField.VERSION, StateField.LATE, *_POSITION])
            pipe.get(key(pool_id, CONFIG))
            pipe.hgetall(key(pool_id, STOCK))
            pipe.hlen(key(pool_id, USERS))
            pipe.xlen(key(pool_id, LEDGER))
            pipe.get(key(pool_id, RECORDED))
            state, packed, stock, users, entries, recorded = await pipe.execute()
        if packed is None:
            return None
        version, late, seq, clock_us, last_ms = state
        config = unpack_config(packed)
        stocks = _stocks(config, stock)
        weights = _weights(config, stocks)
        return LiveState(
            pool_id=pool_id,
            version=int(version),
            status=PoolStatus(config.status),
            weights=weights,
            odds_total=PPB if config.mode == Mode.ODDS else sum(weights.values()),
            seq=int(seq),
            last_ms=int(last_ms or 0),
            oldest_unrecorded_ms=await self._drawn_after(pool_id, int(recorded or 0), int(seq)),
            stocks=stocks,
            users=users,
            ledger_entries=entries,
            clock_us=_clock_us(clock_us, last_ms),
            nothing_to_win=self._draws_no_more(config, weights, int(late or 0)),
        )

    def _draws_no_more(self, config: PackedConfig, weights: Mapping[int, int], late: int) -> bool:
        is_lottery = config.mode == Mode.ODDS
        return is_lottery and late >= self._late_draws and _is_won_out(config, weights)

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


def _given(*arguments: bytes | str | int) -> _Arguments:
    async def given(_: Run) -> Sequence[bytes | str | int]:
        return arguments

    return given


def _clock_us(clock_us: bytes | None, last_ms: bytes | None) -> int:
    """As lua/include/guard.lua has it."""
    return int(clock_us) if clock_us is not None else int(last_ms or 0) * 1000


def _stocks(config: PackedConfig, left: Mapping[bytes, bytes]) -> list[Stock]:
    return [
        Stock(prize.id, prize.units, int(left.get(str(prize.id).encode(), UNLIMITED)))
        for prize in [*config.prizes, *config.retired_prizes]
    ]


def _is_won_out(config: PackedConfig, weights: Mapping[int, int]) -> bool:
    """As lua/include/intents.lua has it."""
    could_win = any(prize.enabled and prize.weight for prize in config.prizes)
    return could_win and not any(weights.values())


def _weights(config: PackedConfig, stocks: Sequence[Stock]) -> dict[int, int]:
    left = {stock.prize_id: None if stock.left == UNLIMITED else stock.left for stock in stocks}
    return {
        prize.id: 0
        if prize.is_last or not prize.enabled
        else weight_of(Mode(config.mode), prize.weight, left[prize.id])
        for prize in config.prizes
    }


def answers_of(told: AnswerColumns, drawn: DrawnColumns) -> list[Answer]:
    """What the draw script says of each intent."""
    codes = iter(drawn.code_bytes)
    secrets = [next(codes) if prize_id else b"" for prize_id in drawn.prize_id]
    draws = list(map(Drawn._make, zip(*drawn[:-1], secrets, strict=True)))
    answers, at = [], 0
    for code, number, places, draws_left, next_ms in zip(*told, strict=True):
        if code == _DRAWN:
            made = draws[at : at + places]
            at += places
            answers.append(Answer(_DRAWN, number, places, draws_left, next_ms, made))
        elif code == _REPLAYED:
            answers.append(Answer(_REPLAYED, number, places, draws_left, next_ms))
        else:
            answers.append(Answer(_CODES[code], detail=number))
    return answers


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
