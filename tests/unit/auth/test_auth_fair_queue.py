"""The queue that serves its lanes in turn."""

import random
from collections import deque

import pytest

from services.auth.fair_queue import FairQueue


def drained(queue: FairQueue[str]) -> list[str]:
    """All that waits, in the order of its turns."""
    return [queue.pop() for _ in range(len(queue))]


def queue_of(*items: tuple[str, str]) -> FairQueue[str]:
    """A queue of items, each as its lanes ("a/b") and its name, put in this order."""
    queue: FairQueue[str] = FairQueue()
    for path, item in items:
        queue.put(path.split("/"), item)
    return queue


def test_items_of_one_lane_come_in_order() -> None:
    """First come, first served, where all are alike."""
    assert ["1", "2", "3"] == drained(queue_of(("a/x", "1"), ("a/x", "2"), ("a/x", "3")))


def test_latecomer_is_next_but_one_when_another_lane_is_full() -> None:
    """A crowd waits for itself."""
    crowd = [("a/x", f"a{number}") for number in range(100)]
    assert drained(queue_of(*crowd, ("b/x", "b")))[:3] == ["a0", "b", "a1"]


def test_lanes_within_a_lane_share_its_turns_alone() -> None:
    """A network with three accounts gets no more turns than one with a single one."""
    queue = queue_of(
        ("a/x", "ax"), ("a/y", "ay"), ("a/z", "az"), ("b/x", "b1"), ("b/x", "b2"), ("b/x", "b3")
    )
    assert ["ax", "b1", "ay", "b2", "az", "b3"] == drained(queue)


def test_lane_that_comes_back_waits_behind_the_others() -> None:
    """Leaving and coming again is no way to the front."""
    queue = queue_of(("a/x", "a1"), ("b/x", "b1"), ("b/x", "b2"))
    assert queue.pop() == "a1"
    queue.put(["a", "x"], "a2")
    assert ["b1", "a2", "b2"] == drained(queue)


def test_discarded_item_has_no_turn() -> None:
    """Whoever left takes no place; one who does not wait is no error."""
    queue = queue_of(("a/x", "1"), ("a/x", "2"), ("b/x", "3"))
    assert queue.discard(["a", "x"], "1")
    assert not queue.discard(["a", "x"], "1")
    assert not queue.discard(["a", "nobody"], "1")
    assert (2, 1) == (len(queue), queue.waiting(["a"]))
    assert ["2", "3"] == drained(queue)


def test_newest_of_the_longest_lane_can_be_taken_out() -> None:
    """What a crowd loses first is whoever came last to it."""
    queue = queue_of(("k/a", "a1"), ("k/b", "b1"), ("k/b", "b2"))
    assert queue.longest(["k"]) == "b"
    assert queue.pop_newest(["k", "b"]) == "b2"
    assert ["a1", "b1"] == drained(queue)


def test_empty_queue_has_nothing_to_give() -> None:
    """And keeps nothing of the lanes that there were."""
    queue = queue_of(("a/x", "1"))
    queue.pop()
    with pytest.raises(IndexError):
        queue.pop()
    assert (0, 0) == (len(queue), queue.waiting(["a", "x"]))


@pytest.mark.parametrize("seed", range(20))
def test_every_item_has_one_turn_whatever_is_put_and_discarded(seed: int) -> None:
    """Nothing is lost or served twice, and each lane keeps its order."""
    chance = random.Random(seed)
    queue: FairQueue[int] = FairQueue()
    model: dict[tuple[str, str], deque[int]] = {}
    for item in range(300):
        path = (chance.choice("abc"), chance.choice("xyz"))
        lane = model.setdefault(path, deque())
        match chance.choice(["put", "put", "pop", "discard"]):
            case "put":
                queue.put(path, item)
                lane.append(item)
            case "pop" if len(queue):
                taken = queue.pop()
                (owner,) = [lane for lane in model.values() if taken in lane]
                assert owner.popleft() == taken
            case "discard" if lane:
                gone = chance.choice(lane)
                assert queue.discard(path, gone)
                lane.remove(gone)
        assert sum(map(len, model.values())) == len(queue)
