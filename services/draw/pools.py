"""Which pool is drawn from, and what a process has to know of it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg
import structlog
from cachetools import TTLCache
from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis

from services.common.errors import ActivityNotFoundError, NotFoundError
from services.common.postgres import load_queries
from services.common.tasks import repeat
from services.draw.code_key import CodeKey, PoolCodes
from services.pool.rule import fairness
from services.pool.rule.terms import DrawTicket, Intent
from services.pool.seeds import SeedCipher
from services.pool.store.keys import DOCUMENT, REQUESTS, key
from services.pool.store.layout import PackedOrder

log = structlog.get_logger()

_UNKNOWN_LIVE_S = 1.0
_ONGOING_LIVE_S = 0.25
_LEARNED = 1000  # at once
_queries: Any = load_queries(__file__)


class PrizeFace(NamedTuple):
    """What a winner sees of a prize."""

    name: str
    image_url: str


@dataclass(slots=True)
class Pool:
    """
    A pool as a draw process knows it. Only faces ever change.

    Args:
        activity_id: 0 for a box's.
        faces: Prize id → its face, as of faces_version.
    """

    pool_id: int
    activity_id: int
    roller: fairness.Roller
    codes: PoolCodes
    commitment: bytes
    faces: Mapping[int, PrizeFace] = field(default_factory=dict)
    faces_version: int = 0

    def intent(
        self,
        user_id: int,
        request_id: str,
        draws: int,
        order: PackedOrder | None = None,
        address: str = "",
        draw_ticket: DrawTicket | None = None,
    ) -> Intent:
        """
        The wish of *user_id* to draw *draws* at once, under *request_id*, for *order*.

        Args:
            draw_ticket: See Intent.
        """
        return Intent(
            user_id,
            request_id,
            fairness.request_digest(user_id, request_id),
            draws,
            self.roller.rolls(user_id, request_id, draws),
            self.codes.codes(user_id, request_id, draws),
            order.pack() if order else b"",
            draw_ticket,
            address,
        )


class Pools:
    """Finds pools, makes new ones, and remembers what does not change."""

    def __init__(
        self,
        postgres: asyncpg.Pool,
        redis: Redis,
        cipher: SeedCipher,
        code_key: CodeKey,
    ) -> None:
        self._postgres = postgres
        self._redis = redis
        self._cipher = cipher
        self._code_key = code_key
        self._of_activity: dict[int, Pool] = {}
        self._of_id: dict[int, Pool] = {}
        self._activities: dict[int, int] = {}
        self._learned_to = 0
        self.learned = asyncio.Event()
        self._unknown: TTLCache[int, bool] = TTLCache(10_000, _UNKNOWN_LIVE_S)
        self._ongoing: TTLCache[str, list[int]] = TTLCache(1, _ONGOING_LIVE_S)
        self._recent: TTLCache[str, list[tuple[int, int]]] = TTLCache(1, _ONGOING_LIVE_S)

    async def create(self) -> tuple[int, bytes]:
        """A fresh pool id and the commitment to its seed."""
        seed = fairness.new_seed()
        async with self._postgres.acquire() as connection:
            pool_id: int = await _queries.next_pool_id(connection)
            await _queries.insert_seed(
                connection,
                pool_id=pool_id,
                commitment=fairness.commitment(seed),
                encrypted_seed=self._cipher.encrypt(pool_id, seed),
            )
        return pool_id, fairness.commitment(seed)

    async def learn_while_running(self, every_s: float) -> None:
        """
        Know pools before anybody draws from them, until cancelled: Postgres may be away by then.

        *learned* is set once those are known that there were at first.
        """
        await repeat("learn_pools", self._learn, every_s)

    async def _learn(self) -> None:
        while rows := await self._next_rows():
            for row in rows:
                self._learned_to = row["activity_id"]
                self._remember(row)
        self.learned.set()

    async def _next_rows(self) -> list[asyncpg.Record]:
        rows = _queries.pools_to_learn(self._postgres, after=self._learned_to, limit=_LEARNED)
        return [row async for row in rows]

    def _remember(self, row: asyncpg.Record) -> None:
        try:
            self._of_activity.setdefault(row["activity_id"], self._opened(row))
        except InvalidTag:
            # An operator has to look at this one; the others are drawn from all the same.
            log.error("seed not readable", pool_id=row["pool_id"])

    def known_ids(self) -> list[int]:
        """The pools of activities that this process knows."""
        return [pool.pool_id for pool in self._of_activity.values()]

    def activity_of(self, pool_id: int) -> int:
        """The activity of a pool that this process knows; 0: it is a box's."""
        return self._activities.get(pool_id, 0)

    def at_hand(self, activity_id: int) -> Pool | None:
        """The pool of an activity, if this process knows it already."""
        return self._of_activity.get(activity_id)

    def at_hand_by_id(self, pool_id: int) -> Pool | None:
        """The pool with this id, if this process knows it already."""
        return self._of_id.get(pool_id)

    async def of_activity(self, activity_id: int) -> Pool:
        """
        The pool of an activity; 0: of the only one that is ongoing.

        Raises:
            ActivityNotFoundError: There is none, or for 0 not exactly one.
        """
        activity_id = activity_id or await self._only_ongoing()
        pool = self._of_activity.get(activity_id)
        if pool is not None:
            return pool
        if activity_id in self._unknown:
            raise ActivityNotFoundError
        return await self._load(activity_id)

    async def of_request(self, digest: bytes) -> Pool:
        """
        The pool in which this request id has drawn; else of the only activity that is ongoing.

        Otherwise a retry that names no activity would draw again, in the next one, when its own
        has ended meanwhile.

        Args:
            digest: See fairness.request_digest.

        Raises:
            ActivityNotFoundError: It has drawn nowhere, and not exactly one is ongoing.
        """
        recent = await self._recently_ongoing()
        async with self._redis.pipeline(transaction=False) as pipe:
            for _, pool_id in recent:
                for name in REQUESTS:
                    pipe.hexists(key(pool_id, name), digest)
            found = await pipe.execute()
        known = zip(found[::2], found[1::2], strict=True)
        drawn = (
            activity_id for (activity_id, _), days in zip(recent, known, strict=True) if any(days)
        )
        return await self.of_activity(next(drawn, 0))

    async def of_id(self, pool_id: int) -> Pool:
        """The pool with this id; NotFoundError when there is none."""
        pool = self._of_id.get(pool_id)
        if pool is not None:
            return pool
        row = await _queries.pool_with_id(self._postgres, pool_id=pool_id)
        if row is None:
            raise NotFoundError("There is no such pool.")
        return self._of_id.setdefault(pool_id, self._opened(row))

    async def check_made(self, pool_id: int) -> None:
        """NotFoundError where nobody made this pool."""
        if not await _queries.is_made(self._postgres, pool_id=pool_id):
            raise NotFoundError("There is no such pool.")

    async def faces(self, pool: Pool, version: int) -> Mapping[int, PrizeFace]:
        """The faces of *pool*'s prizes, as of *version* or newer."""
        if pool.faces_version < version:
            document = await self._redis.get(key(pool.pool_id, DOCUMENT))
            pool.faces = _faces_of(document or b"{}")
            pool.faces_version = version
        return pool.faces

    async def _load(self, activity_id: int) -> Pool:
        row = await _queries.pool_of_activity(self._postgres, activity_id=activity_id)
        if row is None:
            self._unknown[activity_id] = True
            raise ActivityNotFoundError
        return self._of_activity.setdefault(activity_id, self._opened(row))

    def _opened(self, row: asyncpg.Record) -> Pool:
        seed = self._cipher.decrypt(row["pool_id"], row["encrypted_seed"])
        if row["activity_id"]:
            self._activities[row["pool_id"]] = row["activity_id"]
        roller = fairness.Roller(seed, row["pool_id"])
        codes = self._code_key.of_pool(row["pool_id"])
        return Pool(row["pool_id"], row["activity_id"], roller, codes, row["commitment"])

    async def _recently_ongoing(self) -> list[tuple[int, int]]:
        recent = self._recent.get("recent")
        if recent is None:
            rows = _queries.recently_ongoing_activities(self._postgres)
            recent = [(row["id"], row["pool_id"]) async for row in rows]
            self._recent["recent"] = recent
        return recent

    async def _only_ongoing(self) -> int:
        ids = self._ongoing.get("ids")
        if ids is None:
            rows = _queries.ongoing_activities(self._postgres)
            ids = self._ongoing["ids"] = [row["id"] async for row in rows]
        if len(ids) != 1:
            raise ActivityNotFoundError(
                "Name the activity_id: there is not exactly one ongoing activity."
            )
        return ids[0]


def _faces_of(document: bytes | str) -> dict[int, PrizeFace]:
    prizes = json.loads(document).get("prizes", [])
    return {
        int(prize["prize_id"]): PrizeFace(prize.get("name", ""), prize.get("image_url", ""))
        for prize in prizes
    }
