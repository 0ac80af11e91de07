"""A batch that is larger than a call of the script: drawn in order, told without waiting."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from services.draw.batcher import Batcher
from services.draw.code_key import CodeKey
from services.draw.lottery.batch_drawer import BatchDrawer
from services.draw.lottery.requests import WantedDraw
from services.draw.pools import Pool
from services.pool.rule.fairness import Roller
from services.pool.rule.terms import Answer, DrawCode, Drawing, Intent
from tests.support.draws import MemoryStore

_CHUNK = 2


class ReplayingStore(MemoryStore):
    """Has drawn for user 1 before, and draws for the others."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self.all_drawn = asyncio.Event()

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        del pool_id
        self.drawn += [intent.user_id for intent in intents]
        if 5 in self.drawn:
            self.all_drawn.set()
        answers = [
            Answer(DrawCode.REPLAYED if one.user_id == 1 else DrawCode.DRAWN, one.user_id)
            for one in intents
        ]
        return Drawing(0, 1, answers)


async def test_what_is_read_for_one_chunk_does_not_hold_up_the_next() -> None:
    """A replay that Postgres is slow to tell of: the others draw, in the order of the request."""
    store, read = ReplayingStore(), asyncio.Event()

    async def of(_pool: Pool, intent: Intent, *_: Any) -> Any:
        await read.wait()
        return intent.request_id

    def at_hand(_pool: Pool, intent: Intent, _: Drawing, answer: Answer) -> Any:
        return None if answer.code is DrawCode.REPLAYED else intent.request_id

    pool = Pool(1, 1, Roller(b"s" * 32, 1), CodeKey("5c" * 32).of_pool(1), b"")

    async def of_activity(_: int) -> Pool:
        return pool

    make: Any = BatchDrawer
    drawer: BatchDrawer = make(
        SimpleNamespace(of_activity=of_activity),
        Batcher(store, _CHUNK, 1000),
        SimpleNamespace(of=of, at_hand=at_hand),
        None,
        SimpleNamespace(check=lambda: None),
        SimpleNamespace(are_required=False),
        _CHUNK,
    )
    wanted = [WantedDraw(1, user, f"of {user}") for user in range(1, 6)]
    drawing: asyncio.Future[Any] = asyncio.ensure_future(drawer.draw_many(wanted, 30))
    async with asyncio.timeout(10):
        await store.all_drawn.wait()
    assert not drawing.done()
    read.set()
    assert [one.request_id for one in wanted] == await drawing
    assert [1, 2, 3, 4, 5] == store.drawn
