"""kuji.history.v1.HistoryService: from messages to the domain and back."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody
from kuji.history.v1 import history_pb2 as pb

from services.common.context import RequestContext
from services.common.draw_id import parse_draw_id
from services.common.paging import page_of
from services.history.lottery.messages import result_message, user_draws_message
from services.history.lottery.public_pages import PublicPages
from services.history.lottery.results import ResultReader
from services.history.lottery.rules import RulesQuery
from services.history.lottery.winner_streams import WinnerStreams
from services.history.lottery.winners import WinnersQuery, WinnerStore


class HistoryServicer:
    """See kuji/history/v1/history.proto."""

    def __init__(
        self,
        pages: PublicPages,
        winners: WinnerStore,
        results: ResultReader,
        streams: WinnerStreams,
    ) -> None:
        self._pages = pages
        self._winners = winners
        self._results = results
        self._streams = streams

    async def ListActivities(
        self, _: pb.ListActivitiesRequest, __: RequestContext
    ) -> pb.ListActivitiesResponse:
        """See the proto."""
        return await self._pages.activities()

    async def ListPrizes(
        self, request: pb.ListPrizesRequest, _: RequestContext
    ) -> pb.ListPrizesResponse:
        """See the proto."""
        return await self._pages.catalogue(request.activity_id)

    async def GetRules(self, request: pb.GetRulesRequest, _: RequestContext) -> pb.GetRulesResponse:
        """See the proto."""
        return await self._pages.rules(RulesQuery(request.activity_id, page_of(request)))

    async def GetResult(
        self, request: pb.GetResultRequest, ctx: RequestContext
    ) -> pb.GetResultResponse:
        """See the proto."""
        draw_id, viewer_id = parse_draw_id(request.draw_id), ctx.require_caller().user_id
        return result_message(await self._results.result(draw_id, viewer_id))

    async def ListWinners(
        self, request: pb.ListWinnersRequest, _: RequestContext
    ) -> pb.ListWinnersResponse:
        """See the proto."""
        return await self._pages.winners(WinnersQuery(request.activity_id, page_of(request)))

    async def StreamWinners(
        self, request: pb.StreamWinnersRequest, ctx: RequestContext
    ) -> AsyncIterator[pb.Winner | None]:
        """See the proto."""
        activity_id, address = request.activity_id, ctx.origin.address
        async for winner in self._streams.messages(activity_id, request.after_draw_id, address):
            yield winner

    async def StreamWinnerEvents(
        self, request: pb.StreamWinnerEventsRequest, ctx: RequestContext
    ) -> AsyncIterator[HttpBody]:
        """See the proto."""
        activity_id, address = request.activity_id, ctx.origin.address
        async for events in self._streams.events(activity_id, request.last_event_id, address):
            yield events

    async def ListUserDraws(
        self, request: pb.ListUserDrawsRequest, ctx: RequestContext
    ) -> pb.ListUserDrawsResponse:
        """See the proto."""
        page = page_of(request)
        found = await self._winners.user_draws(
            ctx.require_caller().user_id, request.activity_id, page, won_only=request.won_only
        )
        return user_draws_message(page, found)
