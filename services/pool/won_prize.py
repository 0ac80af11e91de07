"""A prize that was won."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WonPrize:
    """A prize, as its winner sees it; its code is empty for those who may not see it."""

    prize_id: int
    name: str
    image_url: str
    prize_code: str
