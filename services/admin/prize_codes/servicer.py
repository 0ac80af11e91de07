"""kuji.admin.v1.PrizeCodeService: messages to domain calls and back."""

from kuji.admin.v1 import prize_codes_pb2 as pb

from services.admin import validation as valid
from services.admin.approvals.second_person import SecondPerson, held_back
from services.admin.prize_codes.disqualifications import Disqualifications
from services.admin.prize_codes.models import Win
from services.admin.prize_codes.redemptions import Redemptions
from services.common.context import RequestContext
from services.common.draw_id import DrawId, parse_draw_id
from services.common.timestamps import optional_timestamp_of, timestamp_of


class PrizeCodeServicer:
    """How prizes are handed out; see prize_codes.proto for effects and errors."""

    def __init__(
        self,
        redemptions: Redemptions,
        disqualifications: Disqualifications,
        second_person: SecondPerson,
    ) -> None:
        self.second_person = second_person
        self._redemptions = redemptions
        self._disqualifications = disqualifications

    async def GetPrizeCode(
        self, request: pb.GetPrizeCodeRequest, _ctx: RequestContext
    ) -> pb.GetPrizeCodeResponse:
        """The win behind a code."""
        win = await self._redemptions.find(_code(request.code))
        return pb.GetPrizeCodeResponse(win=_win(win))

    async def RedeemPrizeCode(
        self, request: pb.RedeemPrizeCodeRequest, ctx: RequestContext
    ) -> pb.RedeemPrizeCodeResponse:
        """Hand a prize out, once."""
        win = await self._redemptions.redeem(ctx, _code(request.code), request.note)
        return pb.RedeemPrizeCodeResponse(win=_win(win))

    async def UndoRedemption(
        self, request: pb.UndoRedemptionRequest, ctx: RequestContext
    ) -> pb.UndoRedemptionResponse:
        """Take that back."""
        win = await self._redemptions.undo(ctx, _code(request.code))
        return pb.UndoRedemptionResponse(win=_win(win))

    @held_back
    async def DisqualifyDraw(
        self, request: pb.DisqualifyDrawRequest, ctx: RequestContext
    ) -> pb.DisqualifyDrawResponse:
        """Take a win away."""
        win = await self._disqualifications.disqualify(
            ctx,
            parse_draw_id(request.draw_id),
            valid.name("reason", request.reason),
            request.return_unit,
        )
        return pb.DisqualifyDrawResponse(win=_win(win))


def _code(text: str) -> str:
    # As people type it.
    return text.strip().upper()


def _win(win: Win) -> pb.Win:
    return pb.Win(
        prize_code=win.prize_code,
        draw_id=str(DrawId(win.pool_id, win.seq)),
        activity_id=win.activity_id or 0,
        user_id=win.user_id,
        username=win.username,
        email=win.email,
        prize=pb.WonItem(prize_id=win.prize_id, name=win.prize_name),
        won_at=timestamp_of(win.won_at),
        status=win.status,
        redeemed_at=optional_timestamp_of(win.redeemed_at),
        redeemed_by=win.redeemed_by,
        note=win.note,
        disqualified_at=optional_timestamp_of(win.disqualified_at),
        disqualified_by=win.disqualified_by,
        reason=win.reason,
        unit_returned=win.unit_returned,
    )
