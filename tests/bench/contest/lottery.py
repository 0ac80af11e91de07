"""The lottery that everybody is to hold: one published with a system of this kind."""

from typing import NamedTuple

DRAWS_PER_USER = 1
PPB = 1_000_000_000


class Offer(NamedTuple):
    """A prize: its units, and how likely it is in hundredths."""

    name: str
    units: int
    percent: int


OFFERS = (
    Offer("Coupon", 500_000, 70),
    Offer("Bear", 5, 5),
    Offer("Cup", 10, 10),
    Offer("Card", 50, 15),
)


class Opened(NamedTuple):
    """An ongoing activity, and its prizes by id."""

    activity_id: int
    offers: dict[int, Offer]
