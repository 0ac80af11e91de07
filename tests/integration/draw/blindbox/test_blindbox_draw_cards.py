"""Item cards: each draws once, for its owner, and is used up by nothing but its draw."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.orders import draw_request_id
from services.pool.rule.prize_code import prize_code
from tests.support.admin import failure
from tests.support.blindbox import Box, ItemSpec, card_status, insert_card
from tests.support.blindbox_draw import Mall, each_told, open_mall, told
from tests.support.history import eventually

OWNER, OTHER = 7, 8
LAST = ItemSpec(1, title="The last one", is_last_prize=True)
PAUSED, ENDED = pool_pb2.POOL_STATUS_PAUSED, pool_pb2.POOL_STATUS_ENDED


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """Two replicas over an empty Redis and a fresh database."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, redis_url) as mall:
        yield mall


async def draws_of(mall: Mall, *boxes: Box) -> int:
    """How many draws there were from all of *boxes*."""
    return sum([len(await mall.ledger(box)) for box in boxes])


async def test_card_draws_once_and_is_used_up(mall: Mall) -> None:
    """P10: one item with every field filled, and the order that stands for it."""
    shelf = await mall.goods(ItemSpec(5, title="Bear", price="1.00", sc_money="0.10"))
    box = await mall.open_box(shelf)
    card = await insert_card(mall.postgres, OWNER, box.goods_id)
    result = await mall.user(OWNER).use_card(box.goods_id, card, num=1)
    (draw,) = await mall.ledger(box)
    row = await mall.postgres.fetchrow("SELECT id, order_num, status, order_type FROM orders")
    assert row is not None
    assert (result.order_id, f"card:{card}", "drawn", 3) == tuple(row)
    assert (OWNER, f"card:{card}".encode()) == (draw.user_id, draw.request_id)
    assert (shelf.item_ids[0], "Bear", "1.00", "0.10", "A", "#c00000") == (
        result.goods_item_id,
        result.title,
        result.price,
        result.sc_money,
        result.shang_title,
        result.shang_color,
    )
    assert (prize_code(box.pool_id, 1, draw.code_bytes), draw.ticket + 1) == (
        result.prize_code,
        result.luck_no,
    )
    assert (f"{box.pool_id}-1", 1.0, 5, 5) == (
        result.proof.draw_id,
        result.proof.odds,
        result.proof.odds_weight,
        result.proof.odds_total,
    )
    assert "used" == await card_status(mall.postgres, card)
    for replica in (0, 1):
        reason = await told(mall.user(OWNER, replica).use_card(box.goods_id, card, num=1))
        assert "ITEM_CARD_USED" == reason
    assert [4] == await mall.left(box)


async def test_card_with_the_last_ticket_gives_the_last_prize_too(mall: Mall) -> None:
    """It comes beside the item; without it the field is absent."""
    box = await mall.box(ItemSpec(2), LAST)
    cards = [await insert_card(mall.postgres, OWNER) for _ in range(2)]
    first, last = [await mall.user(OWNER).use_card(box.goods_id, card, "r") for card in cards]
    assert (False, "The last one", 1) == (
        first.HasField("last_prize"),
        last.last_prize.title,
        last.last_prize.luck_no,
    )
    assert last == await mall.user(OWNER, 1).use_card(box.goods_id, cards[1], "r")


async def test_card_is_refused_when_it_is_not_the_callers_to_use_here(mall: Mall) -> None:
    """P10: unknown, foreign, or for other goods: ITEM_CARD_INVALID, nothing drawn or reserved."""
    box, elsewhere = await mall.box(ItemSpec(5)), await mall.box(ItemSpec(5))
    foreign = await insert_card(mall.postgres, OTHER)
    for_others = await insert_card(mall.postgres, OWNER, elsewhere.goods_id)
    for card in (foreign, for_others, 987_654, 0, -1, (1 << 63) - 1):
        for num in (0, 1):
            refused = await failure(mall.user(OWNER).use_card(box.goods_id, card, "r", num))
            assert (card, "ITEM_CARD_INVALID", {}) == (card, *refused)
    assert "ITEM_CARD_INVALID" == await told(mall.shop().use_card(box.goods_id, foreign))
    assert 0 == await draws_of(mall, box, elsewhere)
    assert 0 == await mall.postgres.fetchval("SELECT count(*) FROM orders")


async def test_used_card_of_another_user_is_not_told_apart_from_an_unknown_one(mall: Mall) -> None:
    """Whoever guesses a card and its request id learns nothing of its draw."""
    box = await mall.box(ItemSpec(5))
    card = await insert_card(mall.postgres, OWNER)
    await mall.user(OWNER).use_card(box.goods_id, card, "r")
    reason = await told(mall.user(OTHER).use_card(box.goods_id, card, "r"))
    assert ("ITEM_CARD_INVALID", 1) == (reason, await draws_of(mall, box))


async def test_card_is_refused_when_goods_box_or_request_id_are_unfit(mall: Mall) -> None:
    """The field is named, and the card stays unused."""
    box = await mall.box(ItemSpec(5))
    unopened = await mall.goods(ItemSpec(5))
    card = await insert_card(mall.postgres, OWNER)
    cases: list[tuple[str, str, tuple[Any, ...]]] = [
        ("GOODS_NOT_FOUND", "goods_id", (987_654, card)),
        ("GOODS_NOT_FOUND", "goods_id", (987_654, card, "r", 1)),
        ("GOODS_NOT_FOUND", "num", (box.goods_id, card, "r", 2)),
        ("GOODS_NOT_FOUND", "num", (box.goods_id, card, "r", -1)),
        ("GOODS_NOT_FOUND", "num", (unopened.goods_id, card)),
        ("INVALID_ARGUMENT", "request_id", (box.goods_id, card, "x" * 65)),
        ("INVALID_ARGUMENT", "request_id", (box.goods_id, card, "é")),
        ("INVALID_ARGUMENT", "request_id", (box.goods_id, card, "a\0")),
    ]
    for reason, field, arguments in cases:
        refused = await failure(mall.user(OWNER).use_card(*arguments))
        assert (arguments, reason, {"field": field}) == (arguments, *refused)
    assert ("unused", 0) == (await card_status(mall.postgres, card), await draws_of(mall, box))


async def test_card_needs_a_login(mall: Mall) -> None:
    """Without a token there is no owner."""
    request = blindbox_pb2.DrawWithItemCardRequest(goods_id=1, item_card_id=1)
    anyone = type(mall.shop())(mall.world.channels[0], None)
    assert "UNAUTHENTICATED" == await told(anyone(request))


async def test_card_draws_once_when_it_is_sent_a_hundred_times_at_once(mall: Mall) -> None:
    """P10: without a request id, or each with another, one draws and the others find it used."""
    box = await mall.box(ItemSpec(500))
    for names in (["" for _ in range(100)], [f"r{nth}" for nth in range(100)]):
        card = await insert_card(mall.postgres, OWNER)
        before = await draws_of(mall, box)
        calls = [
            mall.user(OWNER, nth % 2).use_card(box.goods_id, card, name)
            for nth, name in enumerate(names)
        ]
        assert {"": 1, "ITEM_CARD_USED": 99} == Counter(await each_told(calls))
        assert before + 1 == await draws_of(mall, box)


async def test_card_gives_one_result_to_a_hundred_calls_of_one_request(mall: Mall) -> None:
    """X2: the same request id is the same draw, at once, on two replicas, and ever after."""
    box = await mall.box(ItemSpec(500), LAST)
    card = await insert_card(mall.postgres, OWNER)
    calls = [mall.user(OWNER, nth % 2).use_card(box.goods_id, card, "r") for nth in range(100)]
    first, *others = await asyncio.gather(*calls)
    assert all(first == other for other in others)
    assert [499, 1] == await mall.left(box)
    await mall.record(box)
    await mall.trim(box)
    await mall.age(f"card:{card}", hours=24 * 30)
    assert first == await mall.user(OWNER).use_card(box.goods_id, card, "r")
    assert first == await mall.user(OWNER).use_card(box.goods_id, card, "r", num=1)
    assert "ITEM_CARD_USED" == await told(mall.user(OWNER).use_card(box.goods_id, card, "s"))


async def test_card_draws_once_when_it_is_sent_to_two_goods_at_once(mall: Mall) -> None:
    """P10: two pools, one card: one draw in all."""
    one, two = await mall.box(ItemSpec(500)), await mall.box(ItemSpec(500))
    for nth in range(20):
        card = await insert_card(mall.postgres, OWNER)
        calls = [
            mall.user(OWNER, replica).use_card(box.goods_id, card, f"r{nth}")
            for replica, box in enumerate((one, two))
        ]
        lost = {"ITEM_CARD_USED", "REQUEST_ID_REUSED"}
        assert {"", "lost"} == {"lost" if told in lost else told for told in await each_told(calls)}
        assert nth + 1 == await draws_of(mall, one, two)


async def test_request_id_is_refused_when_it_drew_from_another_box(mall: Mall) -> None:
    """REQUEST_ID_REUSED: other goods, or another num; without a num the box does not matter."""
    shelf = await mall.goods(ItemSpec(5))
    one, two = [await mall.open_box(shelf) for _ in range(2)]
    elsewhere = await mall.box(ItemSpec(5))
    card = await insert_card(mall.postgres, OWNER)
    result = await mall.user(OWNER).use_card(one.goods_id, card, "r", num=2)
    for goods_id, num in ((one.goods_id, 1), (elsewhere.goods_id, 0), (elsewhere.goods_id, 1)):
        refused = await failure(mall.user(OWNER).use_card(goods_id, card, "r", num))
        assert ("REQUEST_ID_REUSED", {"field": "request_id"}) == refused
    assert result == await mall.user(OWNER).use_card(one.goods_id, card, "r")
    assert 1 == await draws_of(mall, one, two, elsewhere)


async def test_card_is_free_again_when_its_draw_was_refused(mall: Mall) -> None:
    """P10: sold out, off the shelf, ended, blocked; then it draws from other goods."""
    closed = [
        await mall.box(ItemSpec(5), status=PAUSED),
        await mall.box(ItemSpec(5), status=ENDED),
        await mall.box(ItemSpec(1), LAST),
    ]
    await mall.shop().order(closed[2], "a")
    card = await insert_card(mall.postgres, OWNER)
    for attempt, (box, reason) in enumerate(
        zip(closed, ("GOODS_OFF_SHELF", "SOLD_OUT", "SOLD_OUT"), strict=True), 1
    ):
        assert reason == await told(mall.user(OWNER).use_card(box.goods_id, card, "r", num=1))
        row = await mall.row(f"card:{card}")
        assert ("released", reason, attempt) == (row["status"], row["refusal"], row["attempt"])
        assert draw_request_id(f"card:{card}", attempt) == row["draw_request_id"]
        assert "unused" == await card_status(mall.postgres, card)
    box = await mall.box(ItemSpec(5))
    await mall.user(OWNER).use_card(box.goods_id, card, "r")
    assert ("used", 1) == (await card_status(mall.postgres, card), await draws_of(mall, box))
    assert (box.pool_id, 4) == tuple(
        await mall.postgres.fetchrow("SELECT pool_id, attempt FROM orders WHERE order_type = 3")
    )


async def test_card_is_free_again_when_its_owner_was_blocked_or_came_too_early(mall: Mall) -> None:
    """A blocked owner or address, or a box protected for somebody else."""
    box = await mall.box(ItemSpec(5), protection_ms=3_600_000)
    card = await insert_card(mall.postgres, OWNER)
    block = pool_pb2.SetUserBlockRequest(user_id=OWNER, blocked=True)
    await mall.shop()(block)
    assert "USER_BLOCKED" == await told(mall.user(OWNER).use_card(box.goods_id, card))
    block.blocked = False
    await mall.shop()(block)
    here = pool_pb2.SetNetworkBlockRequest(network="127.0.0.1", blocked=True)
    await mall.shop()(here)
    assert "USER_BLOCKED" == await told(mall.user(OWNER).use_card(box.goods_id, card))
    await mall.shop().order(box, "a", user_id=OTHER)
    here.blocked = False
    await mall.shop()(here)
    assert "BOX_PROTECTED" == await told(mall.user(OWNER).use_card(box.goods_id, card))
    assert "unused" == await card_status(mall.postgres, card)


async def test_card_without_a_num_draws_from_the_first_box_with_something_left(mall: Mall) -> None:
    """Box by box, ascending, also where the records do not know yet that one is sold out."""
    shelf = await mall.goods(ItemSpec(2), LAST)
    boxes = [await mall.open_box(shelf) for _ in range(3)]
    cards = [await insert_card(mall.postgres, OWNER, shelf.goods_id) for _ in range(7)]
    used: list[int] = []
    for nth, card in enumerate(cards[:6]):
        if nth == 3:
            await mall.record(boxes[0])
            await mall.publish(boxes[0], status=ENDED)
            await mall.postgres.execute("UPDATE boxes SET is_ended = true WHERE num = 1")
        result = await mall.user(OWNER, nth % 2).use_card(shelf.goods_id, card, "r")
        used.append(int(result.proof.draw_id.partition("-")[0]))
    assert [box.pool_id for box in boxes for _ in range(2)] == used
    refused = await failure(mall.user(OWNER).use_card(shelf.goods_id, cards[6], "r"))
    assert ("SOLD_OUT", {"remaining": "0"}) == refused
    assert "unused" == await card_status(mall.postgres, cards[6])
    for box in boxes:
        await mall.record(box)
    assert "SOLD_OUT" == await told(mall.user(OWNER).use_card(shelf.goods_id, cards[6], "r"))
    assert "ITEM_CARD_USED" == await told(mall.user(OWNER).use_card(shelf.goods_id, cards[0], "s"))


async def test_card_without_a_num_passes_by_boxes_of_other_buyers(mall: Mall) -> None:
    """A box reserved for somebody else is no reason to wait while another one is free."""
    shelf = await mall.goods(ItemSpec(5))
    boxes = [await mall.open_box(shelf, protection_ms=3_600_000) for _ in range(2)]
    cards = [await insert_card(mall.postgres, OWNER) for _ in range(2)]
    await mall.shop().order(boxes[0], "a", user_id=OTHER)
    result = await mall.user(OWNER).use_card(shelf.goods_id, cards[0])
    assert f"{boxes[1].pool_id}-1" == result.proof.draw_id
    await mall.shop().order(boxes[1], "b", user_id=OWNER)
    refused = mall.user(OTHER + 1).use_card(
        shelf.goods_id, await insert_card(mall.postgres, OTHER + 1)
    )
    assert "BOX_PROTECTED" == await told(refused)
    assert "unused" == await card_status(mall.postgres, cards[1])


async def test_card_that_drew_the_last_ticket_gives_it_again_when_all_is_sold_out(
    mall: Mall,
) -> None:
    """X2: no box is left to try, and still the same request finds its result."""
    box = await mall.box(ItemSpec(1), LAST)
    card = await insert_card(mall.postgres, OWNER)
    result = await mall.user(OWNER).use_card(box.goods_id, card, "r")
    await mall.record(box)
    await mall.postgres.execute("UPDATE boxes SET is_ended = true")
    await mall.publish(box, status=ENDED)
    for num in (0, 1):
        assert result == await mall.user(OWNER).use_card(box.goods_id, card, "r", num)


async def test_card_is_refused_when_the_goods_have_ended(mall: Mall) -> None:
    """GOODS_OFF_SHELF, with or without a num."""
    box = await mall.box(ItemSpec(5), status=ENDED)
    await mall.postgres.execute("UPDATE goods SET is_ended = true")
    await mall.postgres.execute("UPDATE boxes SET is_ended = true")
    card = await insert_card(mall.postgres, OWNER)
    for num in (0, 1):
        reason = await told(mall.user(OWNER).use_card(box.goods_id, card, "r", num))
        assert ("GOODS_OFF_SHELF", "unused") == (reason, await card_status(mall.postgres, card))


async def test_card_draws_from_infinite_goods(mall: Mall) -> None:
    """Their box is number 1, named or not."""
    box = await mall.box(ItemSpec(None, weight=1), kind="infinite")
    cards = [await insert_card(mall.postgres, OWNER, box.goods_id) for _ in range(2)]
    for num, card in enumerate(cards):
        await mall.user(OWNER).use_card(box.goods_id, card, "r", num)
    assert 2 == await draws_of(mall, box)


async def test_many_cards_of_many_users_draw_one_each_when_all_come_at_once(mall: Mall) -> None:
    """P7, P10: sixty cards on forty tickets: forty draw, twenty are unused."""
    box = await mall.box(ItemSpec(40), LAST)
    cards = {user: await insert_card(mall.postgres, user) for user in range(1, 61)}

    async def told_at_once() -> Counter[str]:
        calls = [
            mall.user(user, user % 2).use_card(box.goods_id, card, "r")
            for user, card in cards.items()
        ]
        return Counter(await each_told(calls))

    async def statuses() -> Counter[str]:
        return Counter([await card_status(mall.postgres, card) for card in cards.values()])

    async def none_is_reserved() -> bool:
        if "reserved" not in await statuses():
            return True
        await told_at_once()  # Postgres took too long to note a draw: the same again notes it
        return False

    assert {"": 40, "SOLD_OUT": 20} == await told_at_once()
    await eventually(none_is_reserved)
    assert ({"used": 40, "unused": 20}, [0, 0]) == (await statuses(), await mall.left(box))
    assert 41 == await draws_of(mall, box)
