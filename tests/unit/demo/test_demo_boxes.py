"""The demo's blind boxes: what is sold, and how its buyers buy."""

from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest

from demo.blindbox import Buyers, Order, Receipt, Sale, Sold
from demo.client import Player
from demo.goods import ICHIBAN, INFINITE, Goods, GoodsItem, OnSale


def test_box_has_80_tickets_levels_a_to_f_and_a_last_prize() -> None:
    """The act's goods are what the documentation shows."""
    assert 80 == ICHIBAN.tickets
    assert [*"ABCDEF", "Last"] == ICHIBAN.levels
    assert [item.level for item in ICHIBAN.items if item.is_last_prize] == ["Last"]


def test_infinite_goods_have_every_kind_of_item() -> None:
    """Finite and unlimited stock, fixed weights and weights of stock."""
    kinds = {(item.stock is None, item.weight is None) for item in INFINITE.items}
    assert {(False, False), (False, True), (True, False)} == kinds


def test_sale_orders_the_same_for_one_seed() -> None:
    """How much each buyer orders, and which way, the seed alone decides."""

    def orders(seed: int) -> list[tuple[int, bool]]:
        return [
            order
            for goods in ("box", "infinite")
            for buyer in range(40)
            for order in islice(Sale(seed=seed).orders(goods, buyer), 3)
        ]

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    assert {1, 2, 3, 4, 5} == {tickets for tickets, _ in orders(1)}
    assert {True, False} == {over_grpc for _, over_grpc in orders(1)}


@pytest.mark.parametrize(("buyers", "things"), [(3, 10), (10, 3), (40, 400), (1, 0)])
def test_sale_spreads_orders_and_cards_evenly(buyers: int, things: int) -> None:
    """All are given out, and nobody gets two more than another."""
    shares = [Sale(buyers).share(things, buyer) for buyer in range(buyers)]
    assert things == sum(shares)
    assert max(shares) - min(shares) <= 1


PLAYERS = [Player(1, "alice", "t1"), Player(2, "bob", "t2")]
_BOX = OnSale(Goods("A box", "ichiban", "1.00", [GoodsItem("A", "Mug", 7)]), 30, 3)


@dataclass
class _Shelf:
    """A box of so many tickets; notes what was ordered, and refused."""

    left: int
    failure: Exception | None = None
    sold: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    order_nums: list[str] = field(default_factory=list)

    async def order(self, order: Order) -> Receipt:
        """Sell, or refuse."""
        self.order_nums.append(order.order_num)
        if self.failure:
            raise self.failure
        if order.tickets > self.left:
            self.refused.append(order.tickets)
            return Receipt("SOLD_OUT")
        self.left -= order.tickets
        self.sold.append(order.tickets)
        return Receipt("", 1)


class _Wishes(Sale):
    """Buyers who order so many tickets, again and again."""

    def orders(self, goods: str, buyer: int) -> "cycle[tuple[int, bool]]":
        """The first buyer's, and the others'."""
        return cycle([(5, False)] if buyer == 0 else [(4, False), (3, False)])


async def _empty(shelf: _Shelf, buyers: int) -> Sold:
    sold = Sold(_BOX, _BOX, PLAYERS[:buyers], [])
    ways = [shelf.order, shelf.order]
    await Buyers(_Wishes(buyers), sold, "demo", ways, lambda _: None, patience_s=-1).empty_box()
    return sold


async def test_buyers_order_less_until_the_box_is_empty() -> None:
    """What is too large is refused; then they take what is left, to the last ticket."""
    shelf = _Shelf(17)
    await _empty(shelf, 2)
    assert (0, 17) == (shelf.left, sum(shelf.sold))
    assert 1 in shelf.refused, "nobody looked whether it is empty"
    assert len(shelf.order_nums) == len(set(shelf.order_nums)), "an order number came twice"


async def test_buyer_gives_up_when_an_order_stays_unanswered() -> None:
    """The verdict tells which order it was; others are not kept waiting for ever."""
    sold = await _empty(_Shelf(17, failure=TimeoutError()), 1)
    assert {"demo-30-1-0": "TimeoutError()"} == sold.unanswered


async def test_buyer_does_not_hide_a_refusal_that_is_none_of_the_box() -> None:
    """Only what passes by itself is put down as unanswered."""
    with pytest.raises(ExceptionGroup) as raised:
        await _empty(_Shelf(17, failure=ValueError("defect")), 1)
    assert raised.group_contains(ValueError, match="defect")
