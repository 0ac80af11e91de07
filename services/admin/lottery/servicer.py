"""kuji.admin.v1.AdminService: messages to domain calls and back."""

from collections.abc import AsyncIterator

from google.api import httpbody_pb2
from kuji.admin.v1 import admin_pb2

from services.admin.approvals.second_person import SecondPerson, held_back
from services.admin.audit_export import AuditExport
from services.admin.blocks import Blocks
from services.admin.conflicts import asked_etag, told_apart
from services.admin.lottery import requests, responses
from services.admin.lottery.activities import Activities
from services.admin.lottery.prizes import Prizes
from services.admin.lottery.records import CONTENT_TYPE, Format, RecordsExport
from services.admin.lottery.statistics import StatisticsReader
from services.admin.store import Store
from services.common.context import RequestContext
from services.common.paging import cut, page_of


class AdminServicer:
    """What an operator does; see admin.proto for effects and errors."""

    def __init__(
        self,
        activities: Activities,
        prizes: Prizes,
        blocks: Blocks,
        statistics: StatisticsReader,
        records: RecordsExport,
        audit: AuditExport,
        store: Store,
        second_person: SecondPerson,
    ) -> None:
        self.second_person = second_person
        self._activities = activities
        self._prizes = prizes
        self._blocks = blocks
        self._statistics = statistics
        self._records = records
        self._audit = audit
        self._store = store

    async def CreateActivity(
        self, request: admin_pb2.CreateActivityRequest, ctx: RequestContext
    ) -> admin_pb2.CreateActivityResponse:
        """A new activity with a pool of its own."""
        activity = await self._activities.create(ctx, requests.activity_draft(request))
        return admin_pb2.CreateActivityResponse(activity=responses.activity(activity))

    async def ListActivities(
        self, request: admin_pb2.ListActivitiesRequest, _ctx: RequestContext
    ) -> admin_pb2.ListActivitiesResponse:
        """One page of activities, newest first."""
        page = page_of(request)
        activities, marks = cut(page, await self._activities.list(page))
        return admin_pb2.ListActivitiesResponse(
            activities=[responses.activity(activity) for activity in activities], **marks
        )

    @held_back
    async def UpdateActivity(
        self, request: admin_pb2.UpdateActivityRequest, ctx: RequestContext
    ) -> admin_pb2.UpdateActivityResponse:
        """A partial change."""
        change, etag = requests.activity_change(request), asked_etag(request, ctx)
        with told_apart(request, ctx, responses.activity):
            activity = await self._activities.update(ctx, request.activity_id, change, etag)
        return admin_pb2.UpdateActivityResponse(activity=responses.activity(activity))

    @held_back
    async def CreatePrize(
        self, request: admin_pb2.CreatePrizeRequest, ctx: RequestContext
    ) -> admin_pb2.CreatePrizeResponse:
        """A new prize that can be won at once."""
        prize = await self._prizes.create(ctx, request.activity_id, requests.prize_terms(request))
        return admin_pb2.CreatePrizeResponse(prize=responses.prize(prize))

    async def ListPrizes(
        self, request: admin_pb2.ListPrizesRequest, _ctx: RequestContext
    ) -> admin_pb2.ListPrizesResponse:
        """One page of the prizes that are not deleted, in the order of creation."""
        page = page_of(request)
        prizes, marks = cut(page, await self._prizes.list(request.activity_id, page))
        return admin_pb2.ListPrizesResponse(
            prizes=[responses.prize(prize) for prize in prizes], **marks
        )

    @held_back
    async def UpdatePrize(
        self, request: admin_pb2.UpdatePrizeRequest, ctx: RequestContext
    ) -> admin_pb2.UpdatePrizeResponse:
        """A partial change."""
        change, etag = requests.prize_change(request), asked_etag(request, ctx)
        with told_apart(request, ctx, responses.prize):
            prize = await self._prizes.update(ctx, request.prize_id, change, etag)
        return admin_pb2.UpdatePrizeResponse(prize=responses.prize(prize))

    @held_back
    async def DeletePrize(
        self, request: admin_pb2.DeletePrizeRequest, ctx: RequestContext
    ) -> admin_pb2.DeletePrizeResponse:
        """Withdraw what is left of a prize."""
        with told_apart(request, ctx, responses.prize):
            prize = await self._prizes.delete(ctx, request.prize_id, asked_etag(request, ctx))
        return admin_pb2.DeletePrizeResponse(prize=responses.prize(prize))

    async def GetStatistics(
        self, request: admin_pb2.GetStatisticsRequest, _ctx: RequestContext
    ) -> admin_pb2.GetStatisticsResponse:
        """How the activities are going."""
        return responses.statistics(await self._statistics.read(request.activity_id))

    async def ListAuditLog(
        self, request: admin_pb2.ListAuditLogRequest, _ctx: RequestContext
    ) -> admin_pb2.ListAuditLogResponse:
        """Who changed what, newest first."""
        page = page_of(request)
        entries, marks = cut(page, await self._store.audit_log(page))
        return admin_pb2.ListAuditLogResponse(
            entries=[responses.audit_entry(entry) for entry in entries], **marks
        )

    async def StreamAuditLog(
        self, request: admin_pb2.StreamAuditLogRequest, _ctx: RequestContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """The same as CSV, oldest first."""
        is_plain = request.format == Format.PLAIN
        async for piece in self._audit.pieces(requests.audit_span(request), is_plain):
            yield httpbody_pb2.HttpBody(content_type=CONTENT_TYPE, data=piece)

    async def CreateBlock(
        self, request: admin_pb2.CreateBlockRequest, ctx: RequestContext
    ) -> admin_pb2.CreateBlockResponse:
        """Keep a user from drawing."""
        block = await self._blocks.create(ctx, requests.block_draft(request))
        return admin_pb2.CreateBlockResponse(block=responses.block(block))

    async def ListBlocks(
        self, request: admin_pb2.ListBlocksRequest, _ctx: RequestContext
    ) -> admin_pb2.ListBlocksResponse:
        """One page of the blocks that hold, newest first."""
        page = page_of(request)
        blocks, marks = cut(page, await self._blocks.list(request.user_id, page))
        return admin_pb2.ListBlocksResponse(
            blocks=[responses.block(block) for block in blocks], **marks
        )

    async def DeleteBlock(
        self, request: admin_pb2.DeleteBlockRequest, ctx: RequestContext
    ) -> admin_pb2.DeleteBlockResponse:
        """Let a user draw again."""
        block = await self._blocks.lift(ctx, request.block_id)
        return admin_pb2.DeleteBlockResponse(block=responses.block(block))

    async def ListUsers(
        self, request: admin_pb2.ListUsersRequest, _ctx: RequestContext
    ) -> admin_pb2.ListUsersResponse:
        """One page of the accounts that begin so."""
        page = page_of(request)
        users, marks = cut(page, await self._store.users(request.q, page))
        return admin_pb2.ListUsersResponse(users=[responses.user(user) for user in users], **marks)

    async def StreamRecords(
        self, request: admin_pb2.StreamRecordsRequest, _ctx: RequestContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """An activity's draws as CSV."""
        kind = requests.export_format(request)
        async for piece in self._records.pieces(request.activity_id, request.won_only, kind):
            yield httpbody_pb2.HttpBody(content_type=CONTENT_TYPE, data=piece)
