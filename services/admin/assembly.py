"""The admin service, put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import grpc
from kuji.admin.v1 import admin_pb2

from services.admin.activities import Activities
from services.admin.blocks import Blocks
from services.admin.editor import Editor
from services.admin.finisher import Finisher
from services.admin.prizes import Prizes
from services.admin.publisher import PoolPublisher
from services.admin.records import RecordsExport
from services.admin.service_token import ServiceToken
from services.admin.servicer import AdminServicer
from services.admin.settings import AdminSettings
from services.admin.statistics import StatisticsReader
from services.admin.store import Store
from services.admin.timekeeping import DayShift, Ending
from services.common.postgres import open_pool
from services.common.server import Bound
from services.common.tokens import TokenVerifier, fetch_jwks_from

# gRPC's own default lets a channel rest for two minutes after a server was away.
_CHANNEL_OPTIONS = (("grpc.max_reconnect_backoff_ms", 1000),)


@dataclass(frozen=True, slots=True)
class Admin:
    """The parts of a running admin service; run() the finisher beside the server."""

    bound: Bound
    verifier: TokenVerifier
    finisher: Finisher


@asynccontextmanager
async def open_admin(settings: AdminSettings) -> AsyncIterator[Admin]:
    """The service with its connections, opened when first needed; closed on leaving."""
    async with (
        grpc.aio.insecure_channel(settings.auth_address, _CHANNEL_OPTIONS) as auth,
        grpc.aio.insecure_channel(settings.draw_address, _CHANNEL_OPTIONS) as draw,
        await open_pool(settings.postgres_dsn) as pool,
    ):
        token = ServiceToken(auth, "admin", settings.service_secret.get_secret_value())
        publisher = PoolPublisher(draw, token, settings.publish_timeout_s)
        yield _admin(settings, Store(pool), publisher, TokenVerifier(fetch_jwks_from(auth)))


def _admin(
    settings: AdminSettings, store: Store, publisher: PoolPublisher, verifier: TokenVerifier
) -> Admin:
    editor = Editor(store, publisher, settings.catch_up_timeout_s)
    grace = timedelta(seconds=settings.finish_grace_s)
    servicer = AdminServicer(
        Activities(store, editor, grace),
        Prizes(store, editor),
        Blocks(store, publisher),
        StatisticsReader(store, publisher),
        RecordsExport(store),
        store,
    )
    return Admin(
        bound=Bound(servicer, admin_pb2.DESCRIPTOR.services_by_name["AdminService"]),
        verifier=verifier,
        finisher=Finisher(editor, [Ending(store, grace), DayShift(store)], settings.finish_every_s),
    )
