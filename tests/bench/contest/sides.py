"""Who holds the lottery: where it is drawn from, who may draw, and what is on record of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench.contest.lottery import Offer, Opened


class Record(NamedTuple):
    """A draw, as it was answered or as Postgres has it; *prize_id* 0: a miss."""

    user_id: int
    draw_id: str
    prize_id: int


@dataclass
class Crowd:
    """
    Users who have not drawn yet.

    Args:
        tokens: Their access tokens, one a line.
        size: How many there are.
        taken: How many drew, or may have.
    """

    tokens: Path
    size: int
    taken: int = 0

    @property
    def left(self) -> int:
        """How many there are still."""
        return self.size - self.taken


class Side(ABC):
    """
    Somebody who holds the lottery.

    Args:
        name: In the table.
        port: On loopback, where it is drawn by JSON.
        crowd: Who may draw.
    """

    keeps_records = True

    def __init__(self, name: str, port: int, crowd: Crowd) -> None:
        self.name = name
        self.port = port
        self.crowd = crowd

    @abstractmethod
    async def open_activity(self) -> Opened:
        """A fresh one, ongoing."""

    @abstractmethod
    async def recorded(self, opened: Opened) -> int:
        """How many draws are on record."""

    @abstractmethod
    async def records(self, opened: Opened) -> Iterable[Record]:
        """Those draws."""

    @abstractmethod
    def cpu_s(self) -> float:
        """CPU time of all its processes until now."""

    @abstractmethod
    def kill(self) -> None:
        """End the processes that draw, at once."""


def oversold(offers: Mapping[int, Offer], records: Iterable[Record]) -> dict[str, int]:
    """Prizes with more winners than units, and by how many."""
    won = dict.fromkeys(offers, 0)
    for record in records:
        if record.prize_id:
            won[record.prize_id] += 1
    return {
        offer.name: won[prize_id] - offer.units
        for prize_id, offer in offers.items()
        if won[prize_id] > offer.units
    }
