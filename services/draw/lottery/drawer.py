"""Draws for callers: from a wish to a result, or to the error that says why not."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.common.errors import (
    ActivityNotOngoingError,
    BoxProtectedError,
    ConflictError,
    CooldownError,
    InternalError,
    InvalidArgumentError,
    KujiError,
    OverloadedError,
    PoolNotLoadedError,
    QuotaSpentError,
    RequestIdReusedError,
    SoldOutError,
    UserBlockedError,
)
from services.common.failures import to_kuji_error
from services.draw.batcher import Batcher
from services.draw.confirmation import Confirmer, Win
from services.draw.guard import MemoryGuard
from services.draw.past import PastDraw, PastDraws
from services.draw.pools import Pool, Pools, PrizeFace
from services.draw.users import Users
from services.pool.prize_code import prize_code
from services.pool.rule import fairness
from services.pool.rule.terms import Answer, Confirm, DrawCode, Drawing, Intent, Quota, Status
from services.pool.store.redis_store import ClockOffError

MAX_REQUEST_ID = 64
MAX_ID = (1 << 63) - 1
# Time kept back from a caller's deadline, so that our answer arrives before it gives up.
_MARGIN_S = 0.05
_NO_FACE = PrizeFace("", "")
_UNCONFIRMED = "Nothing can be confirmed at this moment, so nothing was drawn. Repeat it shortly."
_UNANSWERED = InternalError()


class Wanted(NamedTuple):
    """A draw that a caller asks for; see kuji.draw.v1.BatchDraw."""

    activity_id: int
    user_id: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Won:
    """A prize, as its winner sees it."""

    prize_id: int
    name: str
    image_url: str
    prize_code: str


class Result(NamedTuple):
    """
    What a draw gave; see kuji.draw.v1.DrawResult.

    Args:
        prize: None for a miss.
        draws_left: −1 without a quota.
        next_ms: 0: at once.
    """

    pool_id: int
    seq: int
    activity_id: int
    request_id: str
    prize: Won | None
    weight: int
    total: int
    drawn_ms: int
    version: int
    replayed: bool
    draws_left: int
    next_ms: int
    ledger_link: str


class Drawer:
    """Draws for callers."""

    def __init__(
        self,
        pools: Pools,
        batcher: Batcher,
        past: PastDraws,
        confirmer: Confirmer,
        guard: MemoryGuard,
        users: Users,
        max_batch_draws: int,
    ) -> None:
        self._users = users
        self._confirmer = confirmer
        self._guard = guard
        self._pools = pools
        self._batcher = batcher
        self._past = past
        self._max_batch_draws = max_batch_draws

    async def draw(self, wanted: Wanted) -> Result:
        """
        Draw once; the caller bounds the wait.

        Args:
            wanted: Its request_id may be empty: then it gets one; its activity_id may be 0: then
                the one in which that request_id has drawn is meant, else the only ongoing one.
        """
        named = bool(wanted.request_id)
        if not named:
            wanted = wanted._replace(request_id=uuid.uuid4().hex)
        check(wanted)
        self._guard.check()
        pool = await self._pool_of(wanted, named)
        intent = _intent(pool, wanted)
        drawing = await self._batcher.draw(pool.pool_id, [intent])
        answer = drawing.answers[0]
        if _must_wait(drawing, answer):
            await self._confirmer.confirm(pool.pool_id, [_win(intent, answer)])
        return await self._result(pool, intent, drawing, answer)

    async def check_user(self, user_id: int, remaining_s: float) -> None:
        """
        Raises where a service may not draw for this user: nothing was drawn.

        Raises:
            NotFoundError: There is no such user; UnavailableError: It cannot be found out.
        """
        deadline = asyncio.get_running_loop().time() + max(remaining_s - _MARGIN_S, _MARGIN_S)
        refused = await self._users.refused([user_id], deadline)
        if user_id in refused:
            raise refused[user_id]

    async def _pool_of(self, wanted: Wanted, named: bool) -> Pool:
        if named and not wanted.activity_id:
            digest = fairness.request_digest(wanted.user_id, wanted.request_id)
            return await self._pools.of_request(digest)
        return await self._pools.of_activity(wanted.activity_id)

    async def draw_many(
        self, wanted: Sequence[Wanted], remaining_s: float
    ) -> list[Result | KujiError]:
        """
        Draw once for each of *wanted*; each gets its own result or error, in their order.

        Args:
            remaining_s: How long the caller waits; what is not answered by then is unknown.
        """
        outcomes: list[Result | KujiError] = [_UNANSWERED] * len(wanted)
        places = _by_activity(wanted, outcomes)
        deadline = asyncio.get_running_loop().time() + max(remaining_s - _MARGIN_S, _MARGIN_S)
        refused = await self._users.refused({one.user_id for one in wanted}, deadline)
        async with asyncio.TaskGroup() as tasks:
            for activity_id, indexes in _without(refused, places, wanted, outcomes).items():
                work = self._draw_activity(activity_id, wanted, indexes, outcomes, deadline)
                tasks.create_task(work)
        return outcomes

    async def _draw_activity(
        self,
        activity_id: int,
        wanted: Sequence[Wanted],
        indexes: Sequence[int],
        outcomes: list[Result | KujiError],
        deadline: float,
    ) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                self._guard.check()
                pool = await self._pools.of_activity(activity_id)
        except Exception as error:  # noqa: BLE001  # these elements get it, and nobody else
            _fail(outcomes, indexes, error)
            return
        # The pool is at hand, so the tasks reach the batcher as they start: in this order.
        async with asyncio.TaskGroup() as tasks:
            for chunk in _chunks(indexes, self._max_batch_draws):
                tasks.create_task(self._draw_chunk(pool, wanted, chunk, outcomes, deadline))

    async def _draw_chunk(
        self,
        pool: Pool,
        wanted: Sequence[Wanted],
        indexes: Sequence[int],
        outcomes: list[Result | KujiError],
        deadline: float,
    ) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                intents = [_intent(pool, wanted[index]) for index in indexes]
                drawing = await self._batcher.draw(pool.pool_id, intents)
                places = list(zip(indexes, intents, drawing.answers, strict=True))
                wins = [place for place in places if _must_wait(drawing, place[2])]
                for index, intent, answer in places:
                    if not _must_wait(drawing, answer):
                        outcomes[index] = await self._outcome(pool, intent, drawing, answer)
                if wins:
                    confirmed = [_win(intent, answer) for _, intent, answer in wins]
                    await self._confirmer.confirm(pool.pool_id, confirmed)
                for index, intent, answer in wins:
                    outcomes[index] = await self._outcome(pool, intent, drawing, answer)
        except Exception as error:  # noqa: BLE001  # these elements get it, and nobody else
            _fail(outcomes, indexes, error)

    async def _outcome(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> Result | KujiError:
        try:
            return await self._result(pool, intent, drawing, answer)
        except Exception as error:  # noqa: BLE001  # this element gets it, and nobody else
            return to_kuji_error(error, "DrawBatch")

    async def _result(self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer) -> Result:
        if answer.code is DrawCode.DRAWN:
            won = await self._won(pool, drawing, answer) if answer.draws[0].prize_id else None
            return _fresh(pool, intent, drawing, answer, won)
        if answer.code is DrawCode.REPLAYED:
            past = await self._past.read(pool.pool_id, answer.first_seq, answer.places)
            return await self._replayed(pool, intent, answer, past[0])
        raise refusal_of(answer)

    async def _won(self, pool: Pool, drawing: Drawing, answer: Answer) -> Won:
        drawn = answer.draws[0]
        face = (await self._pools.faces(pool, drawing.version)).get(drawn.prize_id, _NO_FACE)
        code = prize_code(pool.pool_id, answer.first_seq, drawn.code_bytes)
        return Won(drawn.prize_id, face.name, face.image_url, code)

    async def _replayed(self, pool: Pool, intent: Intent, answer: Answer, past: PastDraw) -> Result:
        won = None
        if past.prize_id:
            face = (await self._pools.faces(pool, past.version)).get(past.prize_id, _NO_FACE)
            won = Won(past.prize_id, past.prize_name or face.name, face.image_url, past.prize_code)
        return Result(
            pool_id=pool.pool_id,
            seq=answer.first_seq,
            activity_id=pool.activity_id,
            request_id=intent.request_id,
            prize=won,
            weight=past.weight,
            total=past.total,
            drawn_ms=past.drawn_ms,
            version=past.version,
            replayed=True,
            draws_left=answer.draws_left,
            next_ms=answer.next_ms,
            ledger_link=past.link,
        )


def _must_wait(drawing: Drawing, answer: Answer) -> bool:
    """Whether *answer* is a win that has to be recorded before it is told."""
    return (
        drawing.confirm is Confirm.RECORDED
        and answer.code is DrawCode.DRAWN
        and bool(answer.draws[0].prize_id)
    )


def _win(intent: Intent, answer: Answer) -> Win:
    return Win(answer.first_seq, intent.user_id, intent.request_id)


def _fresh(pool: Pool, intent: Intent, drawing: Drawing, answer: Answer, won: Won | None) -> Result:
    drawn = answer.draws[0]
    return Result(
        pool_id=pool.pool_id,
        seq=answer.first_seq,
        activity_id=pool.activity_id,
        request_id=intent.request_id,
        prize=won,
        weight=drawn.weight,
        total=drawn.total,
        drawn_ms=drawing.now_ms,
        version=drawing.version,
        replayed=False,
        draws_left=answer.draws_left,
        next_ms=answer.next_ms,
        ledger_link=drawing.chain,
    )


def check(wanted: Wanted) -> None:
    """InvalidArgumentError when a field of *wanted* is out of bounds."""
    if not 0 <= wanted.activity_id <= MAX_ID:
        raise InvalidArgumentError("activity_id", "activity_id is a positive number.")
    if not 1 <= wanted.user_id < 1 << 53:
        raise InvalidArgumentError("user_id", "user_id is a positive number.")
    name = wanted.request_id
    if not (1 <= len(name) <= MAX_REQUEST_ID and name.isascii() and name.isprintable()):
        raise InvalidArgumentError(
            "request_id", f"request_id is 1 to {MAX_REQUEST_ID} printable ASCII characters."
        )


def _check_named(wanted: Wanted) -> None:
    if not wanted.activity_id:
        raise InvalidArgumentError("activity_id", "Name the activity_id.")


def _by_activity(
    wanted: Sequence[Wanted], outcomes: list[Result | KujiError]
) -> dict[int, list[int]]:
    """Indexes of the valid elements by activity; the others' errors go into *outcomes*."""
    places: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(wanted):
        try:
            check(one)
            _check_named(one)
        except KujiError as error:
            outcomes[index] = error
        else:
            places[one.activity_id].append(index)
    return places


def _without(
    refused: Mapping[int, KujiError],
    places: Mapping[int, list[int]],
    wanted: Sequence[Wanted],
    outcomes: list[Result | KujiError],
) -> Mapping[int, list[int]]:
    """*places* without those of *refused* users, whose errors go into *outcomes*."""
    if not refused:
        return places
    for index in [index for indexes in places.values() for index in indexes]:
        if wanted[index].user_id in refused:
            outcomes[index] = refused[wanted[index].user_id]
    return {
        activity_id: [index for index in indexes if wanted[index].user_id not in refused]
        for activity_id, indexes in places.items()
    }


def _fail(outcomes: list[Result | KujiError], indexes: Sequence[int], error: Exception) -> None:
    """*error* for those of *indexes* that have no answer yet."""
    failure = to_kuji_error(error, "DrawBatch")
    for index in indexes:
        if outcomes[index] is _UNANSWERED:
            outcomes[index] = failure


def _chunks(indexes: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(indexes), size):
        yield indexes[at : at + size]


def _intent(pool: Pool, wanted: Wanted) -> Intent:
    return pool.intent(wanted.user_id, wanted.request_id, 1)


def refusal_of(answer: Answer) -> KujiError:
    """The error that tells why *answer* is no draw."""
    match answer.code:
        case DrawCode.NOT_ONGOING:
            return ActivityNotOngoingError(Status(answer.detail).name.lower())
        case DrawCode.COOLDOWN:
            return CooldownError(answer.detail)
        case DrawCode.QUOTA_SPENT:
            return QuotaSpentError(Quota(answer.detail).name.lower())
        case DrawCode.SOLD_OUT:
            return SoldOutError(answer.detail)
        case DrawCode.PROTECTED:
            return BoxProtectedError(answer.detail)
        case DrawCode.UNCONFIRMED:
            return OverloadedError(_UNCONFIRMED)
    return _PLAIN_REFUSALS[answer.code]()


_PLAIN_REFUSALS: dict[DrawCode, type[KujiError]] = {
    DrawCode.NOT_LOADED: PoolNotLoadedError,
    DrawCode.BLOCKED: UserBlockedError,
    DrawCode.REQUEST_ID_REUSED: RequestIdReusedError,
    DrawCode.BACKLOG: OverloadedError,
    DrawCode.VOID: ConflictError,
    DrawCode.CLOCK_OFF: ClockOffError,
}
