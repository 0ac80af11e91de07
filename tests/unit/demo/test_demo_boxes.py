"""The demo's second act: its plan, and how its buyers buy."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from demo.accounts import Player
from demo.boxes.doors import SOLD_OUT, Ack, Doors, Wanted
from demo.boxes.game import Buyers, Game
from demo.boxes.plan import ICHIBAN, INFINITE, Errand, GoodsPlan, ItemPlan, Plan
from demo.boxes.shop import OnSale


def test_box_has_80_tickets_levels_a_to_f_and_a_last_prize() -> None:
    """The act's goods are what the documentation shows."""
    assert 80 == ICHIBAN.tickets
    assert [*"ABCDEF", "Last"] == ICHIBAN.levels
    assert [item.level for item in ICHIBAN.items if item.is_last_prize] == ["Last"]


def test_infinite_goods_have_every_kind_of_item() -> None:
    """Finite and unlimited stock, fixed weights and weights of stock."""
    kinds = {(item.stock is None, item.weight is None) for item in INFINITE.items}
    assert {(False, False), (False, True), (True, False)} == kinds


def test_plan_orders_the_same_for_one_seed() -> None:
    """How much each buyer orders, and which way, the seed alone decides."""

    def errands(seed: int) -> list[list[Errand]]:
        plan = Plan(seed=seed)
        firsts = [list(itertools.islice(share, 3)) for share in plan.box_errands()]
        return [*firsts, *plan.infinite_errands()]

    assert errands(1) == errands(1)
    assert errands(1) != errands(2)
    every = [errand for share in errands(1) for errand in share]
    assert {1, 2, 3, 4, 5} == {errand.tickets for errand in every}
    assert {True, False} == {errand.over_grpc for errand in every}


@pytest.mark.parametrize(("buyers", "things"), [(3, 10), (10, 3), (40, 400), (1, 0)])
def test_plan_spreads_orders_and_cards_evenly(buyers: int, things: int) -> None:
    """All are given out, and nobody gets two more than another."""
    plan = Plan(buyers, infinite_orders=things, cards=things)
    for shares in (plan.card_shares(), [len(share) for share in plan.infinite_errands()]):
        assert (buyers, things) == (len(shares), sum(shares))
        assert max(shares) - min(shares) <= 1


PLAYERS = [Player(1, "alice", "t1"), Player(2, "bob", "t2")]
_BOX = OnSale(GoodsPlan("A box", "ichiban", "1.00", [ItemPlan("A", "Mug", 7)]), 30, 3)


@dataclass
class _Shelf:
    """A door to a box of so many tickets; notes what was ordered, and refused."""

    left: int
    failure: Exception | None = None
    sold: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    order_nums: list[str] = field(default_factory=list)

    async def order(self, wanted: Wanted) -> Ack:
        self.order_nums.append(wanted.order_num)
        if self.failure:
            raise self.failure
        if wanted.tickets > self.left:
            self.refused.append(wanted.tickets)
            return Ack(wanted, SOLD_OUT, 0, (), (), False, 1, 0.1)
        self.left -= wanted.tickets
        self.sold.append(wanted.tickets)
        return Ack(wanted, "", 1, (), (), False, 1, 0.1)


def _errands(*tickets: int) -> Iterable[Errand]:
    return itertools.cycle(Errand(one, False) for one in tickets)


async def _empty(shelf: _Shelf, *errands: Iterable[Errand]) -> Game:
    game = Game(lambda _: None)
    buyers = Buyers(PLAYERS[: len(errands)], "demo", Doors(shelf, shelf), game)
    await buyers.empty_box(_BOX, [iter(errand) for errand in errands])
    return game


async def test_buyers_order_less_until_the_box_is_empty() -> None:
    """What is too large is refused; then they take what is left, to the last ticket."""
    shelf = _Shelf(17)
    await _empty(shelf, _errands(5), _errands(4, 3))
    assert (0, 17) == (shelf.left, sum(shelf.sold))
    assert 1 in shelf.refused, "nobody looked whether it is empty"
    assert len(shelf.order_nums) == len(set(shelf.order_nums)), "an order number came twice"


async def test_buyer_gives_up_when_an_order_stays_unanswered() -> None:
    """The verdict tells which order it was; others are not kept waiting for ever."""
    shelf = _Shelf(17, failure=TimeoutError())
    game = await _empty(shelf, _errands(5))
    assert {"demo-30-1-0": "TimeoutError()"} == game.unanswered


async def test_buyer_does_not_hide_a_refusal_that_is_none_of_the_box() -> None:
    """Only what passes by itself is put down as unanswered."""
    with pytest.raises(ExceptionGroup) as raised:
        await _empty(_Shelf(17, failure=ValueError("defect")), _errands(5))
    assert raised.group_contains(ValueError, match="defect")
