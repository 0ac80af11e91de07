"""What holds for every blind box, whatever is in it and whoever draws: a hundred examples each."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.blindbox.v1 import blindbox_pb2
from redis.asyncio import Redis

from services.common.orders import money
from services.draw.batcher import Batcher
from services.pool.ledger.entries import Draw
from services.pool.rule import engine
from services.pool.rule.terms import DrawCode, Drawn
from services.pool.store.redis_store import RedisStore
from tests.support.blindbox import Box, ItemSpec, Shelf, insert_card
from tests.support.blindbox_draw import Customer, Mall, drew, open_mall, settled_books, told
from tests.support.draws import NO_BACKLOG_BOUND, intent, tickets

LAST = ItemSpec(1, title="The last one", is_last_prize=True)
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

AMOUNTS = st.decimals(Decimal(0), Decimal("99999999.99"), places=2).map(money)
TITLES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
ITEMS = st.lists(
    st.builds(
        ItemSpec,
        stock=st.integers(1, 6),
        title=TITLES,
        shang=st.integers(0, 2),
        price=AMOUNTS,
        sc_money=AMOUNTS,
    ),
    min_size=1,
    max_size=4,
)
BOXES = st.tuples(ITEMS, st.booleans()).map(lambda box: [*box[0], *[LAST] * box[1]])
STOCKS = st.lists(st.integers(1, 8), min_size=1, max_size=5)
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=12)


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """Two replicas over an empty Redis and a fresh database."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, redis_url) as mall:
        yield mall


async def opened(mall: Mall, items: Sequence[ItemSpec]) -> tuple[Shelf, Box]:
    """The first box of new goods with three levels."""
    shelf = await mall.goods(*items, shangs=("A", "B", "C"))
    return shelf, await mall.open_box(shelf)


def expected_item(shelf: Shelf, place: int) -> dict[str, Any]:
    """The fields that goods item number *place* has in whatever order it is drawn."""
    item = shelf.items[place]
    return {
        "goods_item_id": shelf.item_ids[place],
        "title": item.title,
        "img_url": f"https://img.example/{place}.png",
        "shang_id": shelf.shang_ids[item.shang],
        "shang_title": "ABC"[item.shang],
        "shang_color": "#c00000",
        "price": item.price,
        "sc_money": item.sc_money,
    }


def fields(item: blindbox_pb2.DrawnItem) -> dict[str, Any]:
    """Every field of *item*."""
    return {field.name: getattr(item, field.name) for field in item.DESCRIPTOR.fields}


@EXAMPLES
@given(items=BOXES, sizes=SIZES)
async def test_results_are_exactly_the_prizes_of_the_order_with_every_field(
    mall: Mall, items: list[ItemSpec], sizes: list[int]
) -> None:
    """P1: as many as were bought, a last prize besides, each as its goods and the ledger say."""
    shelf, box = await opened(mall, items)
    places = {prize_id: place for place, prize_id in enumerate(box.prize_ids)}
    left = sum(item.stock or 0 for item in items if not item.is_last_prize)
    codes: set[str] = set()
    for nth, size in enumerate(sizes):
        order = mall.shop(nth % 2).order(box, f"{box.pool_id} {nth}", 7, size)
        if size > left:
            assert "SOLD_OUT" == await told(order)
            continue
        left -= size
        results = list((await order).results)
        draws = [draw for draw in await mall.ledger(box) if _is_of(draw, f"{box.pool_id} {nth}")]
        assert size == sum(draw.draw_index < draw.draw_count for draw in draws)
        for draw, item in zip(draws, results, strict=True):
            assert all(fields(item).values()), item
            expected = {**expected_item(shelf, places[draw.prize_id]), "luck_no": draw.ticket + 1}
            assert expected == {name: fields(item)[name] for name in expected}
        codes.update(item.prize_code for item in results)
    assert len(codes) == len(await mall.ledger(box))
    await settled_books(mall, box)


def _is_of(draw: Draw, order_num: str) -> bool:
    return draw.request_id == f"order:{order_num}".encode()


@EXAMPLES
@given(items=BOXES, draws=st.integers(0, 24))
async def test_probabilities_are_the_share_of_the_surplus_stock(
    mall: Mall, items: list[ItemSpec], draws: int
) -> None:
    """P4: S/T × 100 for each, and 100 for all, as long as anything is left."""
    _, box = await opened(mall, items)
    draws = min(draws, sum(item.stock or 0 for item in items if not item.is_last_prize))
    if draws:
        await mall.shop().order(box, f"{box.pool_id}", 7, draws)
    left = [
        units
        for units, item in zip(await mall.left(box), items, strict=True)
        if not item.is_last_prize
    ]
    rows = await mall.user(1).probabilities(box)
    total = sum(left)
    assert left == [row.surplus_stock for row in rows] == [row.weight for row in rows]
    assert [100 * units / (total or 1) for units in left] == [row.probability for row in rows]
    assert (100 if total else 0) == pytest.approx(sum(row.probability for row in rows))


@EXAMPLES
@given(stocks=STOCKS, sizes=SIZES, has_last=st.booleans())
async def test_each_draw_takes_one_unit_of_its_item_and_none_that_is_gone(
    redis: Redis, stocks: list[int], sizes: list[int], has_last: bool
) -> None:
    """P6: after each order, in the store as in the pure engine; what is sold out is never drawn."""
    await redis.flushall()
    store, model = RedisStore(redis, NO_BACKLOG_BOUND), engine.PoolState()
    config = tickets(*stocks, last_prize=has_last)
    await store.configure(1, 0, 1, config, "{}")
    engine.configure(model, 0, 1, config)
    left = {prize.prize_id: prize.units for prize in config.prizes}
    for nth, size in enumerate(sizes):
        intents = [intent(7, f"o{nth}", size)]
        drawing = await store.draw(1, intents)
        assert (
            engine.draw(model, intents, drawing.now_ms, 0, NO_BACKLOG_BOUND).answers
            == drawing.answers
        )
        for drawn in drawing.answers[0].draws:
            _take(left, drawn)
        live = await store.inspect(1)
        assert live is not None
        assert left == {stock.prize_id: stock.left for stock in live.stocks}


def _take(left: dict[int, int], drawn: Drawn) -> None:
    assert left[drawn.prize_id] > 0
    if drawn.prize_id != 99:
        tickets_left = sum(units for prize_id, units in left.items() if prize_id != 99)
        assert (left[drawn.prize_id], tickets_left) == (drawn.weight, drawn.total)
    left[drawn.prize_id] -= 1


@EXAMPLES
@given(stocks=STOCKS, sizes=st.lists(st.integers(1, 5), min_size=5, max_size=40))
async def test_concurrent_orders_never_get_more_than_there_is(
    redis: Redis, stocks: list[int], sizes: list[int]
) -> None:
    """P7: all at once, over two replicas: each whole or not at all, and no unit twice."""
    await redis.flushall()
    stores = [RedisStore(redis, NO_BACKLOG_BOUND) for _ in range(2)]
    batchers = [Batcher(store, 400, 20_000) for store in stores]
    await stores[0].configure(1, 0, 1, tickets(*stocks, last_prize=True), "{}")
    calls = [
        batchers[nth % 2].draw(1, [intent(1 + nth, "o", size)]) for nth, size in enumerate(sizes)
    ]
    answers = [drawing.answers[0] for drawing in await asyncio.gather(*calls)]
    won = Counter(drawn.prize_id for answer in answers for drawn in answer.draws)
    assert all(won[prize_id] <= units for prize_id, units in enumerate(stocks, 1))
    left = sum(stocks) - sum(won[prize_id] for prize_id in range(1, len(stocks) + 1))
    assert (left == 0) == (won[99] == 1)
    for size, answer in zip(sizes, answers, strict=True):
        if answer.code is DrawCode.DRAWN:
            assert size == sum(drawn.prize_id != 99 for drawn in answer.draws)
        else:
            assert (DrawCode.SOLD_OUT, ()) == (answer.code, tuple(answer.draws))
            assert left <= answer.detail < size


ATTEMPTS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 4), st.integers(0, 1), st.sampled_from("abc")),
    min_size=1,
    max_size=14,
)
CARDS = st.lists(
    st.tuples(st.integers(1, 2), st.sampled_from([None, 0, 1])), min_size=1, max_size=4
)


@EXAMPLES
@given(cards=CARDS, attempts=ATTEMPTS)
async def test_card_draws_once_for_its_owner_from_its_goods_and_never_else(
    mall: Mall, cards: list[tuple[int, int | None]], attempts: list[tuple[int, int, int, str]]
) -> None:
    """P10: whoever tries with whatever card on whatever goods, one after the other."""
    boxes = [(await opened(mall, [ItemSpec(50)]))[1] for _ in range(2)]
    ids = await _issue(mall, boxes, cards)
    used: dict[int, tuple[int, str]] = {}
    results: dict[int, Any] = {}
    for nth, (user, card, goods, request_id) in enumerate(attempts):
        expected = _verdict(cards, used, user, card, goods, request_id)
        call = mall.user(user, nth % 2).use_card(boxes[goods].goods_id, ids[card], request_id)
        if expected:
            assert expected == await told(call)
        else:
            assert results.setdefault(card, result := await call) == result
            used[card] = (goods, request_id)
    drawn = [await mall.ledger(box) for box in boxes]
    assert [sum(on == goods for on, _ in used.values()) for goods in (0, 1)] == list(
        map(len, drawn)
    )


async def _issue(
    mall: Mall, boxes: Sequence[Box], cards: Sequence[tuple[int, int | None]]
) -> list[int]:
    """The ids of *cards*, and then of none."""
    ids = [
        await insert_card(mall.postgres, owner, None if on is None else boxes[on].goods_id)
        for owner, on in cards
    ]
    return ids + [987_654] * 5


def _verdict(
    cards: Sequence[tuple[int, int | None]],
    used: dict[int, tuple[int, str]],
    user: int,
    card: int,
    goods: int,
    request_id: str,
) -> str:
    """Why this attempt is refused; "": it draws, or drew."""
    if card >= len(cards) or cards[card][0] != user:
        return "ITEM_CARD_INVALID"
    if card in used and used[card][1] == request_id:
        return "" if used[card][0] == goods else "REQUEST_ID_REUSED"
    if cards[card][1] not in (None, goods):
        return "ITEM_CARD_INVALID"
    return "ITEM_CARD_USED" if card in used else ""


@EXAMPLES
@given(
    attempts=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from("abcdef")),
        min_size=2,
        max_size=20,
    )
)
async def test_card_draws_once_when_all_attempts_come_at_once(
    mall: Mall, attempts: list[tuple[int, int, str]]
) -> None:
    """P10: three cards, two goods, two replicas: as many draws as cards that were tried."""
    boxes = [(await opened(mall, [ItemSpec(50)]))[1] for _ in range(2)]
    ids = await _issue(mall, boxes, [(7, None)] * 3)
    calls = [
        _draw_id(mall.user(7, nth % 2), boxes[goods], ids[card], request_id)
        for nth, (card, goods, request_id) in enumerate(attempts)
    ]
    outcomes = await asyncio.gather(*calls)
    for card in range(3):
        mine = {outcome for outcome, (of, *_) in zip(outcomes, attempts, strict=True) if of == card}
        assert not mine or 1 == len(mine - {"ITEM_CARD_USED", "REQUEST_ID_REUSED"}), mine
    tried = {card for card, *_ in attempts}
    assert len(tried) == sum([len(await mall.ledger(box)) for box in boxes])
    for box in boxes:
        await settled_books(mall, box)


async def _draw_id(customer: Customer, box: Box, item_card_id: int, request_id: str) -> str:
    """The id of the draw, or the reason why there is none."""
    found: list[str] = []

    async def use() -> None:
        result = await customer.use_card(box.goods_id, item_card_id, request_id)
        found.append(result.proof.draw_id)

    return await told(use()) or found[0]


@EXAMPLES
@given(sends=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=2, max_size=16))
async def test_order_gives_the_same_items_however_often_and_wherever_it_is_sent(
    mall: Mall, sends: list[tuple[int, int]]
) -> None:
    """P1, X2: five orders, sent at once, in any mixture, to two replicas."""
    _, box = await opened(mall, [ItemSpec(9), LAST])
    calls = [
        _drew(mall.shop(replica), box, f"{box.pool_id} {order}", 1 + order)
        for order, replica in sends
    ]
    outcomes = await asyncio.gather(*calls)
    given_to: dict[int, list[str]] = {}
    for (order, _), ids in zip(sends, outcomes, strict=True):
        assert ids == given_to.setdefault(order, ids)
    assert sum(map(len, given_to.values())) == len(await mall.ledger(box))
    await settled_books(mall, box)


async def _drew(customer: Customer, box: Box, order_num: str, count: int) -> list[str]:
    """The ids of the order's draws; none where it was sold out."""
    found: list[str] = []

    async def place() -> None:
        found.extend(drew(await customer.order(box, order_num, 7, count)))

    assert await told(place()) in {"", "SOLD_OUT"}
    return found


@EXAMPLES
@given(
    items=st.lists(
        st.tuples(st.sampled_from([None, 1, 2, 5]), st.integers(1, 20)), min_size=1, max_size=5
    ),
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=8),
)
async def test_infinite_draws_keep_to_the_weights_of_what_is_left(
    mall: Mall, items: list[tuple[int | None, int]], sizes: list[int]
) -> None:
    """P4, P6: finite or not, each draw's odds are its weight among those that have stock."""
    specs = [ItemSpec(stock, weight=weight) for stock, weight in items]
    shelf = await mall.goods(
        *[replace(spec, title=f"{n}") for n, spec in enumerate(specs)], kind="infinite"
    )
    box = await mall.open_box(shelf)
    for nth, size in enumerate(sizes):
        await told(mall.shop().order(box, f"{box.pool_id} {nth}", 7, size))
    left = {prize_id: stock for prize_id, (stock, _) in zip(box.prize_ids, items, strict=True)}
    weights = {prize_id: weight for prize_id, (_, weight) in zip(box.prize_ids, items, strict=True)}
    for draw in await mall.ledger(box):
        alive = {prize_id for prize_id, units in left.items() if units != 0}
        assert draw.prize_id in alive
        assert (weights[draw.prize_id], sum(weights[one] for one in alive)) == (
            draw.weight,
            draw.total,
        )
        units = left[draw.prize_id]
        left[draw.prize_id] = None if units is None else units - 1
    rows = await mall.user(1).probabilities(box)
    total = sum(row.weight for row in rows)
    assert [100 * row.weight / (total or 1) for row in rows] == [row.probability for row in rows]
    assert list(left.values()) == [
        row.surplus_stock if row.HasField("surplus_stock") else None for row in rows
    ]
