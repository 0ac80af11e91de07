"""What a demo plays."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_USERS = 5_000
MAX_DRAWS = 100_000  # within the life of the players' tokens
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
GRPC_SHARE = 0.10
DEFAULT_PRIZES = "5:0.05,10:0.10,15:0.15,500:0.40"


class PrizePlan(NamedTuple):
    """A prize: its name, units, and chance of one draw, 0…1."""

    name: str
    units: int
    probability: float


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A campaign.

    Args:
        users: Who draw, all at once.
        draws: In all, spread evenly over the users; each user's come one after the other.
        prizes: What can be won.
        seed: Decides which draws go over gRPC. (What a draw wins, its pool's secret seed decides.)
    """

    users: int
    draws: int
    prizes: Sequence[PrizePlan]
    seed: int

    def doors(self) -> Iterator[list[bool]]:
        """For each user, for each of its draws: whether it goes over gRPC."""
        chance = random.Random(self.seed)  # noqa: S311  # no secret
        each, more = divmod(self.draws, self.users)
        for user in range(self.users):
            yield [chance.random() < GRPC_SHARE for _ in range(each + (user < more))]


def parse_prizes(text: str) -> list[PrizePlan]:
    """
    Prizes from "units:probability,…", for example "5:0.05,500:0.4".

    Raises:
        ValueError: It is something else, or the chances sum to more than 1.
    """
    prizes = [
        _parse_prize(f"Prize {letter}", part)
        for letter, part in zip(_LETTERS, text.split(","), strict=False)
    ]
    if text.count(",") >= len(_LETTERS):
        raise ValueError(f"at most {len(_LETTERS)} prizes")
    if sum(prize.probability for prize in prizes) > 1 + 1e-9:
        raise ValueError("the probabilities sum to more than 1")
    return prizes


def _parse_prize(name: str, text: str) -> PrizePlan:
    units, _, probability = text.partition(":")
    try:
        prize = PrizePlan(name, int(units), float(probability))
    except ValueError:
        raise ValueError(f"{text!r} is not units:probability, for example 5:0.05") from None
    if prize.units < 0 or not 0 <= prize.probability <= 1:
        raise ValueError(f"{text!r}: units are 0 or more, a probability is 0 to 1")
    return prize
