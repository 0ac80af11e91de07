"""The draw service, put together from its settings."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import asyncpg
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from services.common.channels import open_channel
from services.common.connections import RedisPool
from services.common.ended_tokens import following_ended_tokens
from services.common.enveloped import name_enveloped
from services.common.looks import looking_at_redis
from services.common.outages import is_outage
from services.common.postgres import open_pool
from services.common.server.needs import Look
from services.common.server.serve import Gathered, Implementation
from services.common.tokens import TokenVerifier, token_verifier
from services.common.traces.stores import noting
from services.draw import clock as clocks
from services.draw.batcher import Batcher
from services.draw.blindbox.cards import CardOrders
from services.draw.blindbox.desk import Desk
from services.draw.blindbox.fulfilment import Fulfilment
from services.draw.blindbox.inventory import Inventory
from services.draw.blindbox.orders import Orders
from services.draw.blindbox.servicer import BlindBoxServicer
from services.draw.blindbox.shelf import Shelf
from services.draw.blindbox.sweeper import Sweeper
from services.draw.blocks import open_blocks
from services.draw.code_key import CodeKey
from services.draw.confirmation import Confirmer
from services.draw.guard import MemoryGuard
from services.draw.lottery.batch_drawer import BatchDrawer
from services.draw.lottery.closings import EdgeAdvice
from services.draw.lottery.draw_tickets import TicketSeal
from services.draw.lottery.drawer import Drawer
from services.draw.lottery.gathered_drawer import GatheredDrawer
from services.draw.lottery.results import Results
from services.draw.lottery.servicer import DrawServicer, written, written_enveloped
from services.draw.lottery.ticket_office import TicketOffice
from services.draw.made import MadeDraws
from services.draw.outcomes import OutcomeCounts
from services.draw.pool_servicer import PoolServicer
from services.draw.pools import Pools
from services.draw.proof.prover import Prover
from services.draw.settings import DrawSettings
from services.draw.traced_batcher import batcher_class
from services.draw.users import Users
from services.pool.books.collector import Auditor
from services.pool.books.watch import BooksWatch
from services.pool.marks.files import MarkFolder
from services.pool.marks.keeper import MarkKeeper, look_while_running, tell_while_running
from services.pool.marks.records import MarkRecords
from services.pool.seeds import SeedCipher
from services.pool.store.closings import Closings
from services.pool.store.redis_store import RedisStore
from services.pool.store.replicas import Replicas


@dataclass(frozen=True, slots=True)
class DrawParts:
    """
    The parts of a running draw service.

    Args:
        ready: Returns once it knows the pools there are.
        needs: What it draws from; it goes on drawing without Postgres.
    """

    services: Sequence[Implementation]
    verifier: TokenVerifier
    ready: Callable[[], Awaitable[None]]
    needs: Mapping[str, Look]


def open_redis(url: str, timeout_s: float) -> Redis:
    """
    A client whose calls take at most *timeout_s*, a broken connection included.

    A call on a broken connection is sent once more: that is safe, since a request id draws once.
    """
    connections = RedisPool.from_url(
        url,
        max_connections=32,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return noting(Redis(connection_pool=connections))


@asynccontextmanager
async def open_draw(settings: DrawSettings) -> AsyncIterator[DrawParts]:
    """
    The service with its connections and watches, which run meanwhile.

    On leaving, what was accepted is answered before the connections close.
    """
    async with (
        open_redis(settings.redis_url, settings.redis_timeout_s) as redis,
        await open_pool(settings.postgres_dsn) as postgres,
        open_channel(settings.auth_address, settings.tls) as auth,
        following_ended_tokens(settings.postgres_dsn) as ended,
        looking_at_redis(settings.redis_url) as look,
        asyncio.TaskGroup() as watching,
    ):
        core = await _open_core(settings, postgres, redis)
        office = TicketOffice(_seal(settings), core.pools, core.store)
        closings = Closings(redis, core.store)
        advice = EdgeAdvice(core.pools, closings)
        sweeper, boxes = _boxes(settings, postgres, core)
        services = [
            _gathered(_lottery(settings, postgres, core, office)),
            _implementation(
                PoolServicer(core.pools, core.store, closings, advice), pool_pb2, "PoolService"
            ),
            _implementation(boxes, blindbox_pb2, "BlindBoxService"),
        ]
        watches = [
            watching.create_task(work)
            for work in (
                *_works(settings, core, redis),
                BooksWatch(Auditor(postgres, redis)).look_while_running(settings.audit_every_s),
                sweeper.sweep_while_running(settings.sweep_every_s),
            )
        ]
        verifier = token_verifier(auth, settings, ended)
        ready = partial(_ready, core.pools, core.store)
        yield DrawParts(services, verifier, ready, {"Redis": look})
        for watch in watches:
            watch.cancel()
        await core.batcher.close()
        await office.close()
        await advice.close()
        await core.keeper.close()


@dataclass(frozen=True, slots=True)
class _Core:
    """What lotteries and blind boxes draw by."""

    guard: MemoryGuard
    prover: Prover
    confirmer: Confirmer
    clock: clocks.StoreClock
    keeper: MarkKeeper
    store: RedisStore
    batcher: Batcher
    pools: Pools
    made: MadeDraws


async def _open_core(settings: DrawSettings, postgres: asyncpg.Pool, redis: Redis) -> _Core:
    confirmer = Confirmer(
        postgres, redis, settings.confirm_patience_s, settings.max_unconfirmed_wins
    )
    replicas = Replicas(redis, settings.confirm_replicas, settings.redis_timeout_s / 2)
    clock = clocks.StoreClock(settings.clock_hold_s)
    await clocks.look_first(clock, redis)
    keeper = _keeper(settings, postgres)
    store = RedisStore(
        redis,
        settings.max_backlog_draws,
        confirmer.is_behind,
        open_blocks(postgres, redis),
        clock.believed,
        replicas,
        keeper,
        settings.late_draws,
    )
    pools = Pools(postgres, redis, _cipher(settings), CodeKey(settings.code_key.get_secret_value()))
    return _Core(
        guard=MemoryGuard(redis, settings.max_store_bytes),
        prover=Prover(postgres, redis, _cipher(settings)),
        confirmer=confirmer,
        clock=clock,
        keeper=keeper,
        store=store,
        batcher=batcher_class()(
            store,
            settings.max_batch_draws,
            settings.max_pending_draws,
            keeper.sealed,
            OutcomeCounts(pools.activity_of),
        ),
        pools=pools,
        made=MadeDraws(postgres, redis, confirmer),
    )


def _lottery(
    settings: DrawSettings, postgres: asyncpg.Pool, core: _Core, office: TicketOffice
) -> DrawServicer:
    results = Results(core.pools, core.made)
    users = Users(postgres, required=settings.require_users)
    shared = (core.pools, core.batcher, results, core.confirmer, core.guard, users)
    most = settings.max_batch_draws
    drawer, batch_drawer = Drawer(*shared), BatchDrawer(*shared, most)
    gathered = GatheredDrawer(drawer, core.pools, core.batcher, core.guard, users, most)
    return DrawServicer(drawer, gathered, batch_drawer, office, core.pools, core.store, core.prover)


def _boxes(
    settings: DrawSettings, postgres: asyncpg.Pool, core: _Core
) -> tuple[Sweeper, BlindBoxServicer]:
    shelf, orders, cards = Shelf(postgres), Orders(postgres), CardOrders(postgres)
    fulfilment = Fulfilment(orders, shelf, core.pools, core.batcher, core.store)
    desk = Desk(shelf, orders, cards, fulfilment, core.made, core.confirmer, core.guard)
    servicer = BlindBoxServicer(desk, Inventory(shelf, core.store), shelf, core.prover)
    return Sweeper(orders, fulfilment, settings.sweep_after_s), servicer


def _works(
    settings: DrawSettings, core: _Core, redis: Redis
) -> Iterator[Coroutine[Any, Any, None]]:
    """What goes on beside the calls."""
    yield clocks.look_while_running(core.clock, redis, settings.watch_every_s)
    yield tell_while_running(core.keeper, settings.mark_every_s)
    yield core.pools.learn_while_running(settings.watch_every_s)
    yield look_while_running(core.store, core.pools.known_ids, settings.watch_every_s)
    yield core.guard.look_while_running(settings.watch_every_s)
    yield core.prover.reveal_while_running(settings.watch_every_s)
    yield core.confirmer.watch_while_running()


async def _ready(pools: Pools, store: RedisStore) -> None:
    await pools.learned.wait()
    try:
        await store.get_ready(pools.known_ids())
    except Exception as error:
        if not is_outage(error):  # it is waited for, as at any other time
            raise


def _keeper(settings: DrawSettings, postgres: asyncpg.Pool) -> MarkKeeper:
    folder = MarkFolder(settings.marks_folder) if settings.marks_folder is not None else None
    return MarkKeeper(MarkRecords(postgres), folder, settle_s=3 * settings.mark_every_s)


def _cipher(settings: DrawSettings) -> SeedCipher:
    return SeedCipher(settings.seed_key.get_secret_value())


def _seal(settings: DrawSettings) -> TicketSeal:
    keys = [settings.code_key, settings.other_code_key]
    return TicketSeal([key.get_secret_value() for key in keys if key is not None])


def _gathered(lottery: DrawServicer) -> Implementation:
    service = draw_pb2.DESCRIPTOR.services_by_name["DrawService"]
    writers = {"Draw": written, name_enveloped("Draw"): written_enveloped}
    return Implementation(lottery, service, {"Draw": Gathered(lottery.DrawEach, writers)})


def _implementation(servicer: object, module: ModuleType, name: str) -> Implementation:
    return Implementation(servicer, module.DESCRIPTOR.services_by_name[name])
