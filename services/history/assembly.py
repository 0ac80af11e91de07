"""The history service, put together from its settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from kuji.blindbox.v1 import records_pb2
from kuji.history.v1 import history_pb2
from redis.asyncio import Redis

from services.common.channels import open_channel
from services.common.connections import show_redis_pool
from services.common.ended_tokens import following_ended_tokens
from services.common.looks import looking_at_postgres, looking_at_redis
from services.common.postgres import open_pool
from services.common.server.needs import Look, either
from services.common.server.serve import Implementation
from services.common.tokens import TokenVerifier, token_verifier
from services.common.traces.stores import noting
from services.history.blindbox.cards import CardStore
from services.history.blindbox.goods import ListedGoodsStore
from services.history.blindbox.orders import OrderReader
from services.history.blindbox.public_records import PublicRecords
from services.history.blindbox.records import RecordReader
from services.history.blindbox.servicer import BlindBoxRecordServicer
from services.history.blindbox.tail import LedgerTails
from services.history.lottery.catalogue import CatalogueStore
from services.history.lottery.feed import WinnerFeed
from services.history.lottery.public_pages import PublicPages
from services.history.lottery.results import ResultReader
from services.history.lottery.rules import RulesStore
from services.history.lottery.seats import Seats
from services.history.lottery.servicer import HistoryServicer
from services.history.lottery.win_log import WinLog
from services.history.lottery.winner_streams import WinnerStreams, event_of
from services.history.lottery.winners import WinnerStore
from services.history.settings import HistorySettings
from services.pool.nudges import listen
from services.pool.store.keys import FEED_CHANNEL


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """
    The parts of a running history service.

    Args:
        needs: Without Redis it has what is recorded; without Postgres listeners of the winners stay
            with it, and a result is not lost by asking again.
    """

    services: Sequence[Implementation]
    verifier: TokenVerifier
    servicer: HistoryServicer
    blindbox: BlindBoxRecordServicer
    feed: WinnerFeed
    needs: Mapping[str, Look]


@asynccontextmanager
async def open_history(settings: HistorySettings) -> AsyncIterator[HistoryParts]:
    """
    The service, with its tail and its listener running; closed on leaving.

    Neither Postgres nor Redis need be there yet.
    """
    redis = _open_redis(settings)
    pool = open_pool(
        settings.postgres_dsn, settings.postgres_connections, settings.postgres_timeout_s
    )
    async with (
        await pool as postgres,
        open_channel(settings.auth_address, settings.tls) as auth,
        _blindbox_records(postgres, redis, settings) as blindbox,
        following_ended_tokens(settings.postgres_dsn) as ended,
        looking_at_postgres(settings.postgres_dsn) as look_at_postgres,
        looking_at_redis(settings.redis_url) as look_at_redis,
        asyncio.TaskGroup() as tasks,
    ):
        winners = WinnerStore(postgres)
        pages = PublicPages(winners, CatalogueStore(postgres), RulesStore(postgres), settings)
        feed = _feed_of(winners, settings)
        streams = WinnerStreams(feed, winners)
        servicer = HistoryServicer(pages, winners, ResultReader(postgres, redis), streams)

        def on_nudge(_: bytes = b"") -> None:
            pages.forget_winners()
            feed.nudge()

        own = [
            tasks.create_task(listen(redis, FEED_CHANNEL, on_nudge, on_nudge)),
            tasks.create_task(feed.run()),
        ]
        try:
            verifier = token_verifier(auth, settings, ended)
            needs = {"Postgres or Redis": either(look_at_postgres, look_at_redis)}
            services = _bounds(servicer, blindbox)
            yield HistoryParts(services, verifier, servicer, blindbox, feed, needs)
        finally:
            await feed.aclose()
            for task in own:
                task.cancel()
            await pages.aclose()
    await redis.aclose()


@asynccontextmanager
async def _blindbox_records(
    postgres: asyncpg.Pool, redis: Redis, settings: HistorySettings
) -> AsyncIterator[BlindBoxRecordServicer]:
    tails = LedgerTails(redis, settings.tail_draws)
    records = PublicRecords(ListedGoodsStore(postgres), RecordReader(postgres, tails), settings)
    try:
        yield BlindBoxRecordServicer(records, OrderReader(postgres, tails), CardStore(postgres))
    finally:
        await records.aclose()


def _feed_of(winners: WinnerStore, settings: HistorySettings) -> WinnerFeed:
    log = WinLog(settings.stream_kept, event_of)
    seats = Seats(settings.stream_listeners, settings.stream_listeners_of_address)
    return WinnerFeed(winners, log, seats, settings)


def _bounds(servicer: HistoryServicer, blindbox: BlindBoxRecordServicer) -> list[Implementation]:
    history = history_pb2.DESCRIPTOR.services_by_name["HistoryService"]
    records = records_pb2.DESCRIPTOR.services_by_name["BlindBoxRecordService"]
    return [Implementation(servicer, history), Implementation(blindbox, records)]


def _open_redis(settings: HistorySettings) -> Redis:
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        health_check_interval=5,  # notices a silent connection of the nudges
    )
    show_redis_pool(redis.connection_pool)
    return noting(redis)
