"""Who may not draw, users and addresses: in every activity and every box at once."""

from dataclasses import dataclass
from datetime import datetime

from services.admin.audit import AuditRecord, difference
from services.admin.editor import bounded
from services.admin.models import Block, Detail
from services.admin.publisher import PoolPublisher
from services.admin.store import Rows, Store
from services.common.addresses import Network
from services.common.context import Caller, RequestContext
from services.common.errors import InvalidArgumentError, NotFoundError
from services.common.paging import Page
from services.common.timestamps import ms_of

MAX_NETWORKS = 10_000


@dataclass(frozen=True, slots=True)
class BlockDraft:
    """
    A block as asked for.

    Args:
        user_id: 0: the one named *username*.
        network: A range of addresses, in place of a user.
        until: First instant at which it no longer holds; None: for good.
    """

    user_id: int
    username: str
    network: Network | None
    reason: str
    until: datetime | None


class Blocks:
    """
    What an operator does with blocks.

    The live store is told inside the transaction: where that fails, Postgres keeps what held
    before, and a repetition settles it.
    """

    def __init__(self, store: Store, publisher: PoolPublisher) -> None:
        self._store = store
        self._publisher = publisher

    async def create(self, ctx: RequestContext, draft: BlockDraft) -> Block:
        """
        The block of the user or of the range, in the place of one that holds already.

        Raises:
            InvalidArgumentError: It would have run out, or too many ranges are blocked.
            NotFoundError: No such user.
            UnavailableError: It may hold.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            await rows.lock_blocks()
            before, block = await _put(rows, draft, caller.user_id)
            await rows.add_audit(_creation(caller, before, block))
            await self._publish(block, blocked=True)
            return block

    async def lift(self, ctx: RequestContext, block_id: int) -> Block:
        """
        The block, which no longer holds. Idempotent.

        Raises:
            NotFoundError: No such block.
            UnavailableError: It may be lifted.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            await rows.lock_blocks()
            was_lifted_now = await rows.lift_block(block_id)
            block = await _existing(rows, block_id)
            # There may be a later block by now, which has to stay.
            if was_lifted_now:
                await rows.add_audit(_lifting(caller, block))
                await self._publish(block, blocked=False)
            return block

    async def list(self, user_id: int, page: Page) -> list[Block]:
        """One page of those that hold, newest first, and one more; user 0: of all."""
        return await self._store.blocks(user_id, page)

    async def _publish(self, block: Block, blocked: bool) -> None:
        until_ms = 0 if block.until is None else ms_of(block.until)
        if block.network is None:
            await self._publisher.set_block(block.user_id, blocked, until_ms)
        else:
            await self._publisher.set_network_block(block.network, blocked, until_ms)


async def _put(rows: Rows, draft: BlockDraft, created_by: int) -> tuple[Block | None, Block]:
    """What held before, if anything did, and what is stored for *draft*."""
    if draft.until is not None and draft.until <= await rows.now():
        raise InvalidArgumentError("until", "until has to lie ahead.")
    if draft.network is not None:
        if await rows.count_networks(draft.network) >= MAX_NETWORKS:
            raise InvalidArgumentError("ip", f"{MAX_NETWORKS} ranges are blocked already.")
        before = await rows.holding_block(None, draft.network)
        block_id = await rows.put_network_block(
            draft.network, draft.reason, draft.until, created_by
        )
        return before, await _existing(rows, block_id)
    user_id = await rows.find_user(draft.user_id, draft.username)
    if user_id is None:
        raise NotFoundError("There is no such user.")
    before = await rows.holding_block(user_id, None)
    block_id = await rows.put_block(user_id, draft.reason, draft.until, created_by)
    return before, await _existing(rows, block_id)


async def _existing(rows: Rows, block_id: int) -> Block:
    block = await rows.block(block_id)
    if block is None:
        raise NotFoundError("There is no such block.")
    return block


def _creation(caller: Caller, before: Block | None, block: Block) -> AuditRecord:
    if before is None:
        detail = {**_whom(block), "reason": block.reason, "until": block.until}
        return AuditRecord(caller, "block.create", f"block:{block.block_id}", detail)
    changed = difference(before, block)
    return AuditRecord(
        caller, "block.update", f"block:{block.block_id}", {**_whom(block), **changed}
    )


def _lifting(caller: Caller, block: Block) -> AuditRecord:
    detail = {
        "reason": block.reason,
        "until": block.until,
        "is_active": {"from": True, "to": False},
    }
    return AuditRecord(
        caller, "block.delete", f"block:{block.block_id}", {**_whom(block), **detail}
    )


def _whom(block: Block) -> Detail:
    return {"user_id": block.user_id} if block.network is None else {"ip": str(block.network)}
