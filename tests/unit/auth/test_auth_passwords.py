"""Argon2id off the event loop."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters

from services.auth.lanes import Lane
from services.auth.passwords import Argon2Cost, Passwords
from services.common.errors import OverloadedError

CHEAP = Argon2Cost(memory_kib=8, passes=1, lanes=1)
LANE = Lane("known", "192.0.2.1", "alice")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Cheap hashing, one thread, one place to wait."""
    passwords = Passwords(CHEAP, threads=1, places=1)
    yield passwords
    passwords.close()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, passwords: Passwords) -> Iterator[threading.Event]:
    """Hashing waits until this is set."""
    assert passwords  # its own hash is made before the gate closes
    event, original = threading.Event(), PasswordHasher.hash

    def hash_behind_gate(self: PasswordHasher, *args: Any, **kwargs: Any) -> str:
        event.wait()
        return original(self, *args, **kwargs)

    monkeypatch.setattr(PasswordHasher, "hash", hash_behind_gate)
    yield event
    event.set()


async def test_password_matches_when_it_is_the_hashed_one(passwords: Passwords) -> None:
    """What was hashed matches, anything else does not, and nothing is to be stored."""
    stored = await passwords.hash("correct horse", LANE)
    assert await passwords.check("correct horse", stored, LANE) == (True, None)
    assert await passwords.check("correct horsf", stored, LANE) == (False, None)


async def test_hashes_differ_when_passwords_are_equal(passwords: Passwords) -> None:
    """Every hash has a salt of its own."""
    assert await passwords.hash("same same", LANE) != await passwords.hash("same same", LANE)


async def test_hash_is_argon2id_at_the_cost_set(passwords: Passwords) -> None:
    """The parameters are the settings', the kind is Argon2id."""
    stored = await passwords.hash("correct horse", LANE)
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")


async def test_password_matches_when_typed_as_other_code_points(passwords: Passwords) -> None:
    """A composed and a decomposed é are the same password."""
    stored = await passwords.hash("caf\u00e9 caf\u00e9", LANE)
    assert (await passwords.check("cafe\u0301 cafe\u0301", stored, LANE)).matches


async def test_unpaired_surrogate_is_a_password_like_another(passwords: Passwords) -> None:
    """Text that is not valid Unicode neither crashes nor matches something else."""
    stored = await passwords.hash("\ud800" * 8, LANE)
    assert await passwords.check("\ud800" * 8, stored, LANE) == (True, None)
    assert await passwords.check("\ud801" * 8, stored, LANE) == (False, None)


async def test_check_does_the_same_work_when_the_user_is_unknown(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a stored hash one of equal cost is verified, and nothing matches."""
    verified: list[str] = []
    original = PasswordHasher.verify

    def verify(self: PasswordHasher, stored: str, password: bytes) -> bool:
        verified.append(stored)
        return original(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert await passwords.check("whatever it is", None, LANE) == (False, None)
    known = await passwords.hash("known to us", LANE)
    assert [extract_parameters(known)] == [extract_parameters(stored) for stored in verified]


async def test_check_gives_a_new_hash_when_the_cost_has_changed(passwords: Passwords) -> None:
    """A matching password hashed at another cost is hashed again at the present one."""
    older = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("correct horse")
    verdict = await passwords.check("correct horse", older, LANE)
    assert verdict.matches
    assert verdict.new_hash is not None
    assert await passwords.check("correct horse", verdict.new_hash, LANE) == (True, None)
    assert await passwords.check("wrong horse", older, LANE) == (False, None)


async def test_hashing_runs_on_its_own_thread(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop's thread never hashes."""
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_: threading.current_thread().name)
    thread = await passwords.hash("correct horse", LANE)
    assert thread != threading.current_thread().name
    assert thread.startswith("argon2")


async def test_hashing_is_refused_when_every_place_is_taken(
    passwords: Passwords, gate: threading.Event
) -> None:
    """The queue is bounded: one more gets OVERLOADED at once, and a place freed is a place."""
    async with asyncio.TaskGroup() as tasks:
        accepted = [tasks.create_task(passwords.hash("correct horse", LANE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await passwords.hash("correct horse", LANE)
        gate.set()
    assert len([task.result() for task in accepted]) == 2
    assert await passwords.hash("correct horse", LANE)


async def test_place_stays_taken_when_the_caller_of_a_running_hash_is_gone(
    passwords: Passwords, gate: threading.Event
) -> None:
    """Cancelled callers do not let more hashes in than the bound: running ones still count."""
    callers = [asyncio.create_task(passwords.hash("correct horse", LANE)) for _ in range(2)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.gather(callers[0], return_exceptions=True)
    with pytest.raises(OverloadedError):
        await passwords.hash("correct horse", LANE)
    gate.set()
    assert await callers[1]
