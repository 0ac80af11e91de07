"""
The version before beside this one, on this one's schema: the way there, and the way back.

The version before is taken from the history of this repository; where that is not there, as in an
archive of the source, the test is skipped.
"""

import asyncio
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.admin.v1 import admin_pb2
from kuji.auth.v1 import auth_pb2
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2
from redis.asyncio import Redis

from services.pool.books.collector import Auditor
from stack.processes import ROOT
from tests.support.history import eventually
from tests.support.house import House, open_activity, open_goods, open_house

# After a release, the commit of the one before.
BEFORE = "6e0506ab8ce3219989d350572efff35c99a974f3"
UNITS = 1000
TIMEOUT_S = 20
# As in docs/upgrading.md; None: back to the version before.
STEPS: Sequence[tuple[Path | None, Sequence[str]]] = (
    (ROOT, ("recorder", "history")),
    (ROOT, ("draw",)),
    (ROOT, ("admin", "auth")),
    (None, ("auth", "admin", "draw")),
    (None, ("history", "recorder")),
)
DRAWS = 3


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The source of the version before."""
    archive = tmp_path / "before.tar"
    command = ["git", "archive", "--output", str(archive), BEFORE, "services", "stack", "gen"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("the history of the repository is not here")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before"


@dataclass
class Client:
    """
    Somebody who draws from an activity and orders boxes, whoever serves.

    Args:
        drawn: Draw ids by request id.
        ordered: What each order gave, by its number.
    """

    house: House
    activity_id: int
    prize_id: int
    goods_id: int
    user: auth_pb2.Session
    admin: str
    service: str
    drawn: dict[str, str] = field(default_factory=dict)
    ordered: dict[str, Any] = field(default_factory=dict)

    async def play(self) -> None:
        """Draw, order, edit and read anew; all that was drawn before is found again."""
        for request_id, draw_id in self.drawn.items():
            assert (draw_id, True) == await self._draw(request_id)
        for order_num, results in self.ordered.items():
            assert results == await self._order(order_num)
        for number in range(len(self.drawn), len(self.drawn) + DRAWS):
            self.drawn[f"draw-{number}"], replayed = await self._draw(f"draw-{number}")
            assert not replayed
        order_num = f"order-{len(self.ordered)}"
        self.ordered[order_num] = await self._order(order_num)
        await self._edit()
        await eventually(self._is_read, TIMEOUT_S)

    async def _draw(self, request_id: str) -> tuple[str, bool]:
        request = draw_pb2.DrawRequest(activity_id=self.activity_id, request_id=request_id)
        result = (await self._ask("Draw", "Draw", request, self.user.access_token)).result
        return result.draw_id, result.replayed

    async def _order(self, order_num: str) -> Any:
        request = blindbox_pb2.PlaceOrderRequest(
            order_num=order_num,
            user_id=self.user.user_id,
            goods_id=self.goods_id,
            num=1,
            count=2,
        )
        answer = await self._ask("BlindBox", "PlaceOrder", request, self.service)
        return [one.prize_code for one in answer.results]

    async def _edit(self) -> None:
        units = UNITS + len(self.drawn)
        request = admin_pb2.UpdatePrizeRequest(prize_id=self.prize_id, total_count=units)
        await self._ask("Admin", "UpdatePrize", request, self.admin)

    async def _is_read(self) -> bool:
        request = history_pb2.ListUserDrawsRequest(page=1, page_size=100)
        token = self.user.access_token
        listed = await self._ask("History", "ListUserDraws", request, token)
        return set(self.drawn.values()) <= {draw.draw_id for draw in listed.records}

    async def _ask(self, service: str, method: str, request: Any, token: str) -> Any:
        metadata = (("authorization", f"Bearer {token}"),)
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                call = getattr(self.house.stub(service), method)
                try:
                    return await call(request, timeout=TIMEOUT_S, metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    # A channel is slow to see that a process is back.
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                await asyncio.sleep(0.05)


async def test_two_versions_work_side_by_side_there_and_back(
    before: Path, tmp_path: Path, redis_url: str, redis: Redis, postgres_dsn: str
) -> None:
    """
    In the order of upgrading.md, one part after the other, and back: whatever one version drew, the
    other finds by its request id, records, lists and edits; the books balance.
    """
    async with open_house(tmp_path, redis_url, postgres_dsn, before) as house:
        admin = await house.admin_token()
        client = Client(
            house,
            *await open_activity(house, admin, UNITS),
            await open_goods(house, admin),
            await house.register("alice"),
            admin,
            await house.service_token(),
        )
        await client.play()
        for tree, parts in STEPS:
            await house.run_from(tree or before, *parts)
            await client.play()
        await eventually(lambda: _is_all_recorded(house), TIMEOUT_S)
        assert [] == await house.halted()
        async with asyncpg.create_pool(postgres_dsn, min_size=0) as postgres:
            audit = Auditor(postgres, redis)
            audited = [await audit.audit_pool(pool_id) for pool_id in await audit.pool_ids()]
            assert [[], [], []] == [*audited, await audit.audit_winner_list()]


async def _is_all_recorded(house: House) -> bool:
    return await house.unrecorded() == 0
