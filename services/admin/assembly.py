"""The admin service, put together from its settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType

from google.protobuf.message import Message
from kuji.admin.v1 import (
    admin_pb2,
    approvals_pb2,
    goods_pb2,
    prize_codes_pb2,
    simulations_pb2,
)

from services.admin.approvals.approvals import Approvals, Call
from services.admin.approvals.second_person import SecondPerson
from services.admin.approvals.servicer import ApprovalServicer
from services.admin.audit_export import AuditExport
from services.admin.blindbox.boxes import Boxes, Openings
from services.admin.blindbox.cards import Cards
from services.admin.blindbox.goods import AllGoods
from services.admin.blindbox.items import Items
from services.admin.blindbox.servicer import GoodsServicer
from services.admin.blindbox.shangs import Shangs
from services.admin.blindbox.store import GoodsStore
from services.admin.blindbox.upkeep import BoxUpkeep
from services.admin.blocks import Blocks
from services.admin.editor import Editor
from services.admin.finisher import Chore, Finisher
from services.admin.lottery.activities import Activities
from services.admin.lottery.prizes import Prizes
from services.admin.lottery.records import RecordsExport
from services.admin.lottery.servicer import AdminServicer
from services.admin.lottery.statistics import StatisticsReader
from services.admin.lottery.timekeeping import DayShift, Ending
from services.admin.prize_codes.disqualifications import Disqualifications
from services.admin.prize_codes.redemptions import Redemptions
from services.admin.prize_codes.servicer import PrizeCodeServicer
from services.admin.publisher import PoolPublisher
from services.admin.service_token import ServiceToken
from services.admin.settings import AdminSettings
from services.admin.simulation.runner import Runner
from services.admin.simulation.servicer import SimulationServicer
from services.admin.simulation.simulations import Simulations
from services.common.channels import open_channel
from services.common.ended_tokens import following_ended_tokens
from services.common.looks import looking_at_postgres
from services.common.postgres import open_pool
from services.common.server.needs import Look
from services.common.server.serve import Implementation
from services.common.tokens import TokenVerifier, token_verifier


@dataclass(frozen=True, slots=True)
class AdminParts:
    """The parts of a running admin service; run() the finisher beside the server."""

    services: Sequence[Implementation]
    verifier: TokenVerifier
    finisher: Finisher
    needs: Mapping[str, Look]


@asynccontextmanager
async def open_admin(settings: AdminSettings) -> AsyncIterator[AdminParts]:
    """The service with its connections, opened when first needed; closed on leaving."""
    async with (
        open_channel(settings.auth_address, settings.tls) as auth,
        open_channel(settings.draw_address, settings.tls) as draw,
        await open_pool(settings.postgres_dsn) as pool,
        following_ended_tokens(settings.postgres_dsn) as ended,
        looking_at_postgres(settings.postgres_dsn) as look,
    ):
        token = ServiceToken(auth, "admin", settings.service_secret.get_secret_value())
        publisher = PoolPublisher(draw, token, settings.publish_timeout_s)
        verifier = token_verifier(auth, settings, ended)
        # Without Postgres nothing of it is answered.
        yield _admin(settings, GoodsStore(pool), publisher, verifier, {"Postgres": look})


def _admin(
    settings: AdminSettings,
    store: GoodsStore,
    publisher: PoolPublisher,
    verifier: TokenVerifier,
    needs: Mapping[str, Look],
) -> AdminParts:
    editor = Editor(store, publisher, settings.catch_up_timeout_s)
    grace = timedelta(seconds=settings.finish_grace_s)
    second = SecondPerson(
        store, settings.second_person, settings.approval_s, settings.max_approvals
    )
    admin = AdminServicer(
        Activities(store, editor, grace, second),
        Prizes(store, editor, second),
        Blocks(store, publisher),
        StatisticsReader(store, publisher),
        RecordsExport(store),
        AuditExport(store),
        store,
        second,
    )
    boxes = Boxes(store, editor, second)
    goods = _goods(store, boxes, second)
    prize_codes = PrizeCodeServicer(
        Redemptions(store), Disqualifications(store, editor, second), second
    )
    approvals = _approvals(store, admin, goods, prize_codes)
    chores: list[Chore] = [
        Ending(store, editor, grace),
        DayShift(store, editor),
        BoxUpkeep(store, editor),
        Openings(store, boxes),
    ]
    return AdminParts(
        services=[
            _implementation(admin, admin_pb2, "AdminService"),
            _implementation(goods, goods_pb2, "GoodsService"),
            _implementation(prize_codes, prize_codes_pb2, "PrizeCodeService"),
            _implementation(approvals, approvals_pb2, "ApprovalService"),
            _implementation(_simulations(settings, store), simulations_pb2, "SimulationService"),
        ],
        verifier=verifier,
        finisher=Finisher(chores, settings.finish_every_s),
        needs=needs,
    )


def _goods(store: GoodsStore, boxes: Boxes, second: SecondPerson) -> GoodsServicer:
    return GoodsServicer(
        AllGoods(store, boxes, second),
        Shangs(store),
        Items(store),
        boxes,
        Cards(store, second),
        second,
    )


def _approvals(
    store: GoodsStore, admin: AdminServicer, goods: GoodsServicer, prize_codes: PrizeCodeServicer
) -> ApprovalServicer:
    calls: Mapping[type[Message], Call] = {
        admin_pb2.UpdateActivityRequest: admin.UpdateActivity,
        admin_pb2.CreatePrizeRequest: admin.CreatePrize,
        admin_pb2.UpdatePrizeRequest: admin.UpdatePrize,
        admin_pb2.DeletePrizeRequest: admin.DeletePrize,
        goods_pb2.UpdateGoodsRequest: goods.UpdateGoods,
        goods_pb2.OpenBoxesRequest: goods.OpenBoxes,
        goods_pb2.IssueItemCardsRequest: goods.IssueItemCards,
        prize_codes_pb2.DisqualifyDrawRequest: prize_codes.DisqualifyDraw,
    }
    return ApprovalServicer(Approvals(store, calls))


def _simulations(settings: AdminSettings, store: GoodsStore) -> SimulationServicer:
    return SimulationServicer(Simulations(store, Runner(settings.simulations_at_once)))


def _implementation(servicer: object, module: ModuleType, name: str) -> Implementation:
    return Implementation(servicer, module.DESCRIPTOR.services_by_name[name])
