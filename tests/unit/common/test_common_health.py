"""What a process says of its readiness, by what it sees of its neighbours."""

import asyncio

import pytest

from services.common.server.health import START, Health
from services.common.server.needs import Steadiness, either


def seen(*looks: tuple[bool, float]) -> list[bool | None]:
    """What is believed after each of *looks*: what it saw, and when it ended; none takes time."""
    steadiness = Steadiness()
    believed = []
    for there, now in looks:
        steadiness.see(there, now, now)
        believed.append(steadiness.is_there)
    return believed


def test_first_look_counts_at_once() -> None:
    """A process that starts beside its stores is ready with no delay."""
    assert [True] == seen((True, 0))
    assert [False] == seen((False, 0))


def test_neighbour_that_flickers_is_not_lost() -> None:
    """Gone for less than two seconds, however often."""
    looks = [(True, 0.0), (False, 1.0), (False, 2.9), (True, 3.0), (False, 3.1), (False, 5.0)]
    assert [True] * 6 == seen(*looks)


def test_neighbour_that_is_gone_is_lost_and_has_to_stay_to_be_back() -> None:
    """Two seconds to be lost, one to be back."""
    looks = [(True, 0.0), (False, 1.0), (False, 3.0), (True, 4.0), (False, 4.5), (True, 5.0)]
    assert [True, True, False, False, False, False] == seen(*looks)
    assert [False, False, True] == seen((False, 0.0), (True, 1.0), (True, 2.0))


def test_silence_counts_from_the_question_on() -> None:
    """A neighbour that is frozen is lost as soon as one that refuses."""
    steadiness = Steadiness()
    steadiness.see(there=True, since=0.0, now=0.0)
    steadiness.see(there=False, since=0.5, now=1.5)
    assert steadiness.is_there
    steadiness.see(there=False, since=2.0, now=3.0)
    assert not steadiness.is_there


async def test_process_is_ready_while_it_lacks_nothing() -> None:
    """Each lack is counted by itself."""
    health = Health()
    health.lack("Redis", "refused")
    health.have(START)
    assert not health.is_ready
    health.have("Redis")
    assert health.is_ready
    health.lack("Redis", "refused")
    assert not health.is_ready


async def test_either_of_two_is_enough() -> None:
    """Only where both are gone is there nothing."""

    async def there() -> None: ...

    async def gone() -> None:
        raise ConnectionError("gone")

    async def hanging() -> None:
        await asyncio.Event().wait()

    await either(there, gone)()
    await either(hanging, there)()
    with pytest.raises(ConnectionError, match="gone; ConnectionError: gone"):
        await either(gone, gone)()


async def test_what_is_there_is_enough_and_the_other_is_not_asked() -> None:
    """A look that nobody needs would cost two processes something, time and again."""
    asked = []

    async def there() -> None:
        asked.append("first")

    async def other() -> None:
        asked.append("second")

    await either(there, other)()
    assert ["first"] == asked
