"""The scenarios: who comes, and what has to be there before."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

PLENTY = 10_000_000


class Needs(Enum):
    """What is made ready for a scenario."""

    ACTIVITY = "an open activity with stock for all"
    FEW_UNITS = "an open activity whose units are gone at once"
    OPENING = "an activity that opens in some seconds"
    INFINITE_GOODS = "infinite goods with their box open"
    CARDS = "the same, and item cards"


@dataclass(frozen=True)
class Scenario:
    """
    A load test.

    Args:
        title: What it is about.
        users: Kinds of users, classes of locustfile.py; each as often as its weight.
        needs: What is made ready.
    """

    title: str
    users: Sequence[str]
    needs: Needs = Needs.ACTIVITY


SCENARIOS = {
    "register": Scenario("everybody registers", ["Newcomer"]),
    "login": Scenario("everybody logs in", ["Returner"]),
    "draw": Scenario("draws, by JSON through the edge", ["Drawer"]),
    "grpc": Scenario("draws, by gRPC stubs", ["StubDrawer"]),
    "replay": Scenario("draws, and the same draws again", ["Replayer"]),
    "mixed": Scenario(
        "draws both ways, looks, logins, registrations",
        ["Drawer", "StubDrawer", "Visitor", "Visitor", "Returner", "Newcomer"],
    ),
    "sold-out": Scenario("a storm on what is sold out", ["Latecomer"], Needs.FEW_UNITS),
    "opening": Scenario("everybody draws in the second of an opening", ["Opener"], Needs.OPENING),
    "box": Scenario("a shop orders from infinite goods", ["Shop"], Needs.INFINITE_GOODS),
    "card": Scenario("players open item cards", ["CardOwner"], Needs.CARDS),
    "winners": Scenario("the page of winners, while somebody draws", ["WinnersReader", "Drawer"]),
    "stream": Scenario("the stream of winners, while somebody draws", ["Listener", "Drawer"]),
}
