"""What act 2 sells, and who buys how much of it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

LARGEST_ORDER = 5
_GRPC_SHARE = 0.25


class ItemPlan(NamedTuple):
    """An item; stock None: unlimited; weight None: the surplus stock."""

    level: str
    title: str
    stock: int | None
    weight: int | None = None
    is_last_prize: bool = False


class GoodsPlan(NamedTuple):
    """Goods, of which one box is opened; *type*: "ichiban" or "infinite"."""

    title: str
    type: str
    price: str
    items: Sequence[ItemPlan]

    @property
    def levels(self) -> list[str]:
        """Titles of the levels, in order."""
        return list(dict.fromkeys(item.level for item in self.items))

    @property
    def tickets(self) -> int:
        """Tickets of a box with finite stock; the last prize has none."""
        return sum(item.stock or 0 for item in self.items if not item.is_last_prize)


ICHIBAN = GoodsPlan(
    "Dragon Tales",
    "ichiban",
    "9.90",
    [
        ItemPlan("A", "Figure, gold", 1),
        ItemPlan("B", "Figure, silver", 2),
        ItemPlan("C", "Lamp", 5),
        ItemPlan("D", "Mug", 12),
        ItemPlan("E", "Towel", 20),
        ItemPlan("F", "Keyring", 40),
        ItemPlan("Last", "Figure, black", 1, is_last_prize=True),
    ],
)
INFINITE = GoodsPlan(
    "Endless Capsules",
    "infinite",
    "1.50",
    [
        ItemPlan("S", "Console", 3, weight=20),
        ItemPlan("A", "Poster", 60),
        ItemPlan("B", "Plush", None, weight=120),
        ItemPlan("B", "Badge", None, weight=800),
    ],
)


class Errand(NamedTuple):
    """An order to place: how many tickets, and whether over gRPC."""

    tickets: int
    over_grpc: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The act.

    Args:
        buyers: Who buy, all at once: first the box until it is empty, then infinite goods.
        infinite_orders: For the infinite goods, spread evenly.
        cards: Item cards for the infinite goods, spread evenly.
        seed: Decides how large each order is and which way it goes. (What it draws, the boxes'
            secret seeds decide.)
    """

    buyers: int = 40
    infinite_orders: int = 400
    cards: int = 20
    seed: int = 1

    def box_errands(self) -> list[Iterator[Errand]]:
        """For each buyer, orders without end."""
        return [self._errands("box", buyer) for buyer in range(self.buyers)]

    def infinite_errands(self) -> list[list[Errand]]:
        """For each buyer, its orders."""
        shares = _spread(self.infinite_orders, self.buyers)
        return [
            list(islice(self._errands("infinite", buyer), share))
            for buyer, share in enumerate(shares)
        ]

    def card_shares(self) -> list[int]:
        """For each buyer, how many cards it gets."""
        return _spread(self.cards, self.buyers)

    def _errands(self, goods: str, buyer: int) -> Iterator[Errand]:
        chance = random.Random(f"{self.seed} {goods} {buyer}")  # noqa: S311  # no secret
        while True:
            yield Errand(chance.randint(1, LARGEST_ORDER), chance.random() < _GRPC_SHARE)


def _spread(things: int, people: int) -> list[int]:
    each, more = divmod(things, people)
    return [each + (person < more) for person in range(people)]
