"""kuji.draw.v1 on the wire: messages to domain and back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp
from kuji.draw.v1 import draw_pb2

from services.common.context import Caller, RequestContext, Role
from services.common.draw_id import DrawId, parse_draw_id
from services.common.errors import InvalidArgumentError, PermissionDeniedError, SoldOutError
from services.common.server.gathered import GatheredCall
from services.common.stopped import count_stopped
from services.draw.deadlines import reply_by
from services.draw.lottery.batch_drawer import BatchDrawer, Outcome
from services.draw.lottery.drawer import Drawer
from services.draw.lottery.gathered_drawer import GatheredDrawer
from services.draw.lottery.odds import Odds, current_odds
from services.draw.lottery.requests import WantedDraw, element_of
from services.draw.lottery.result_json import enveloped_result
from services.draw.lottery.results import DrawResult
from services.draw.lottery.stream import draw_each
from services.draw.lottery.ticket_office import TicketOffice
from services.draw.pools import Pools
from services.draw.proof.prover import Proof, Prover
from services.pool.rule.terms import PoolStore
from services.pool.won_prize import WonPrize

_MAX_STREAMED = 1000


class DrawServicer:
    """kuji.draw.v1.DrawService."""

    def __init__(
        self,
        drawer: Drawer,
        gathered_drawer: GatheredDrawer,
        batch_drawer: BatchDrawer,
        office: TicketOffice,
        pools: Pools,
        store: PoolStore,
        prover: Prover,
    ) -> None:
        self._drawer = drawer
        self._gathered_drawer = gathered_drawer
        self._batch_drawer = batch_drawer
        self._office = office
        self._pools = pools
        self._store = store
        self._prover = prover

    async def Draw(
        self, request: draw_pb2.DrawRequest, ctx: RequestContext
    ) -> draw_pb2.DrawResponse:
        """See DrawService.Draw."""
        wanted = self._wanted(request, ctx)
        if wanted.is_by_service:
            await self._drawer.check_user(wanted.user_id, ctx.remaining_s)
        return _response(await self._drawer.draw(wanted))

    async def DrawEach(self, calls: Sequence[GatheredCall]) -> None:
        """Draw() for each of *calls*, which are told results; see Gathered."""
        asks: list[_CallersAsk] = []
        for call in calls:
            try:
                asks.append(_CallersAsk(self._wanted(call.message, call.ctx), call))
            except Exception as error:  # noqa: BLE001  # this caller gets it, and nobody else
                call.tell(error)
        deadline = reply_by(max(call.ctx.remaining_s for call in calls))
        await self._gathered_drawer.draw_each(asks, deadline)

    def _wanted(self, request: draw_pb2.DrawRequest, ctx: RequestContext) -> WantedDraw:
        caller = ctx.require_caller()
        is_by_service = caller.role is Role.SERVICE
        user_id = _user_of(request, caller)
        request_id, pool_id, draw_ticket = self._office.look_at(
            user_id, request.ticket, request.solution, request.request_id
        )
        address = ctx.origin.address
        if is_by_service:
            address = ""  # its own is not the user's
            draw_ticket = draw_ticket if request.ticket else None
        return WantedDraw(
            request.activity_id, user_id, request_id, address, draw_ticket, pool_id, is_by_service
        )

    async def IssueTicket(
        self, request: draw_pb2.IssueTicketRequest, ctx: RequestContext
    ) -> draw_pb2.IssueTicketResponse:
        """See DrawService.IssueTicket."""
        caller = ctx.require_caller()
        if caller.role is Role.SERVICE:
            raise PermissionDeniedError("A service draws without tickets.")
        ticket, claims = await self._office.issue(request.activity_id, caller.user_id)
        response = draw_pb2.IssueTicketResponse(ticket=ticket, difficulty=claims.difficulty)
        _write_ms(response.expires_at, claims.expires_ms)
        _write_ms(response.not_before, claims.not_before_ms)
        return response

    async def DrawBatch(
        self, request: draw_pb2.DrawBatchRequest, ctx: RequestContext
    ) -> draw_pb2.DrawBatchResponse:
        """See DrawService.DrawBatch."""
        wanted = [element_of(draw) for draw in request.draws]
        outcomes = await self._batch_drawer.draw_many(wanted, ctx.remaining_s)
        response = draw_pb2.DrawBatchResponse()
        add = response.outcomes.add
        for outcome in outcomes:
            _write_outcome(add(), outcome)
        return response

    async def DrawStream(
        self, requests: AsyncIterator[draw_pb2.DrawStreamRequest], ctx: RequestContext
    ) -> AsyncIterator[draw_pb2.DrawStreamResponse]:
        """See DrawService.DrawStream."""
        wanted = (element_of(request.draw) async for request in requests)
        answers = draw_each(self._batch_drawer, wanted, ctx.remaining_s, _MAX_STREAMED)
        async with aclosing(answers):
            async for index, outcome in answers:
                response = draw_pb2.DrawStreamResponse(index=index)
                _write_outcome(response.outcome, outcome)
                yield response

    async def GetOdds(
        self, request: draw_pb2.GetOddsRequest, ctx: RequestContext
    ) -> draw_pb2.GetOddsResponse:
        """See DrawService.GetOdds."""
        del ctx
        return _odds(await current_odds(self._pools, self._store, request.activity_id))

    async def VerifyDraw(
        self, request: draw_pb2.VerifyDrawRequest, ctx: RequestContext
    ) -> draw_pb2.VerifyDrawResponse:
        """See DrawService.VerifyDraw."""
        del ctx
        draw_id = parse_draw_id(request.draw_id)
        return _proof(draw_id, await self._prover.prove(draw_id.pool_id, draw_id.seq))


class _CallersAsk:
    """See Ask: that of a call."""

    __slots__ = ("_call", "wanted")

    def __init__(self, wanted: WantedDraw, call: GatheredCall) -> None:
        self.wanted = wanted
        self._call = call

    @property
    def is_waiting(self) -> bool:
        return self._call.is_waiting

    def tell(self, outcome: DrawResult | Exception) -> None:
        self._call.tell(outcome)

    def tell_apart(self, work: Callable[[], Awaitable[DrawResult]]) -> None:
        self._call.answer_apart(work)


def written(result: DrawResult) -> bytes:
    """What DrawEach() tells, as Draw() answers it."""
    return _response(result).SerializeToString()


def written_enveloped(result: DrawResult) -> bytes:
    """The same for the edge."""
    _count(result)
    return enveloped_result(result)


def _count(result: DrawResult) -> None:
    if result.is_sold_out:
        count_stopped("draw", SoldOutError(0))


def _response(result: DrawResult) -> draw_pb2.DrawResponse:
    _count(result)
    response = draw_pb2.DrawResponse()
    _write_result(response.result, result)
    return response


def _user_of(request: draw_pb2.DrawRequest, caller: Caller) -> int:
    """Who is drawn for: the caller itself; only a service names another."""
    if caller.role is Role.SERVICE:
        if not request.user_id:
            raise InvalidArgumentError("user_id", "A service names the user that it draws for.")
        return request.user_id
    if request.user_id not in (0, caller.user_id):
        raise PermissionDeniedError("Only a service draws for others.")
    return caller.user_id


# Written in their place: messages made apart and copied into others cost three times as much. But
# what many results of a batch have in common is copied by one call.
def _write_result(message: draw_pb2.DrawResult, result: DrawResult) -> None:
    # fmt: off
    (pool_id, seq, activity_id, request_id, prize, weight, total, drawn_ms, version, replayed,
     draws_left, next_ms, link) = result
    # fmt: on
    message.MergeFrom(_in_common(activity_id, version, total, drawn_ms, link))
    if seq:
        message.draw_id = f"{pool_id}-{seq}"
    else:
        message.sold_out = True
    if prize is not None:
        message.won = True
        _write_prize(message.prize, prize)
    message.odds = weight / total
    message.odds_weight = weight
    message.request_id = request_id
    if replayed:
        message.replayed = True
    if draws_left >= 0:
        message.draws_left = draws_left
    if next_ms:
        _write_ms(message.next_draw_at, next_ms)


@lru_cache(maxsize=256)
def _in_common(
    activity_id: int, version: int, total: int, drawn_ms: int, link: str
) -> draw_pb2.DrawResult:
    """What the results of draws of one call of the script have in common; not to be changed."""
    message = draw_pb2.DrawResult(
        activity_id=activity_id, pool_version=version, odds_total=total, ledger_link=link
    )
    _write_ms(message.drawn_at, drawn_ms)
    return message


def _write_prize(message: draw_pb2.Prize, prize: WonPrize) -> None:
    message.prize_id = prize.prize_id
    message.name = prize.name
    message.image_url = prize.image_url
    message.prize_code = prize.prize_code


def _write_ms(message: Timestamp, ms: int) -> None:
    message.seconds, millis = divmod(ms, 1000)
    message.nanos = millis * 1_000_000


def _write_outcome(message: draw_pb2.DrawOutcome, outcome: Outcome) -> None:
    if isinstance(outcome, DrawResult):
        _write_result(message.result, outcome)
        return
    count_stopped("draw", outcome)
    message.error.reason = outcome.reason_name
    message.error.message = outcome.message
    message.error.metadata.update(outcome.metadata)


def _odds(odds: Odds) -> draw_pb2.GetOddsResponse:
    total = odds.total or 1
    return draw_pb2.GetOddsResponse(
        activity_id=odds.activity_id,
        pool_version=odds.version,
        after_seq=odds.seq,
        prizes=[
            draw_pb2.PrizeOdds(
                prize_id=prize.prize_id,
                name=prize.name,
                remaining=prize.remaining,
                probability=prize.weight / total,
                weight=prize.weight,
            )
            for prize in odds.prizes
        ],
        miss_probability=odds.miss_weight / total,
        odds_total=odds.total,
        seed_commitment=odds.seed_commitment.hex(),
    )


def _proof(draw_id: DrawId, proof: Proof) -> draw_pb2.VerifyDrawResponse:
    return draw_pb2.VerifyDrawResponse(
        valid=proof.valid,
        roll=proof.roll.hex(),
        seed_commitment=proof.commitment.hex(),
        seed=proof.seed.hex() if proof.seed else None,
        explanation=proof.explanation,
        draw_id=str(draw_id),
        ticket=proof.ticket,
        odds_weight=proof.weight,
        odds_total=proof.total,
    )
