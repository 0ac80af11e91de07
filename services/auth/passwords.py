"""Passwords: Argon2id, computed in threads of its own and never on the event loop."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, ParamSpec, TypeVar

from argon2 import PasswordHasher

from services.auth.credentials import check_password_length
from services.auth.hashes import UnknownHashError, parse_hash
from services.auth.lanes import Lane, Lanes

_OURS = "$argon2id$"

P = ParamSpec("P")
T = TypeVar("T")


class Argon2Cost(NamedTuple):
    """What one hash costs: KiB of memory, passes over it, parallel lanes."""

    memory_kib: int
    passes: int
    lanes: int


class Verdict(NamedTuple):
    """
    Outcome of a check.

    Args:
        matches: Whether the password is the one.
        new_hash: To be stored instead, where it matches but was hashed at another cost.
    """

    matches: bool
    new_hash: str | None


class Passwords:
    """
    Hashes and checks passwords of at most 128 characters; longer ones are InvalidArgumentError.

    Args:
        cost: Of every new hash.
        threads: Hashes computed at once.
        places: Hashes of one kind of lane that may wait.
    """

    def __init__(self, cost: Argon2Cost, threads: int, places: int) -> None:
        self._argon2 = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        self._nobody = self._argon2.hash(secrets.token_bytes(16))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._lanes = Lanes(threads, places)

    async def hash(self, password: str, lane: Lane) -> str:
        """The encoded hash of *password*; OverloadedError when too many wait in *lane*."""
        check_password_length(password)
        return await self._run(lane, self._hash, password)

    async def check(self, password: str, stored: str | None, lane: Lane) -> Verdict:
        """
        Compare *password* with the hash *stored*; OverloadedError when too many wait in *lane*.

        Without a stored hash (no such user) nothing matches, after the same work.
        """
        check_password_length(password)
        return await self._run(lane, self._check, password, stored)

    def close(self) -> None:
        """Drop what waits, and wait for what runs: a few hundredths of a second."""
        self._threads.shutdown(cancel_futures=True)

    def _hash(self, password: str) -> str:
        return self._argon2.hash(bytes_of(password))

    def _check(self, password: str, stored: str | None) -> Verdict:
        if stored is not None and _matches(password, stored):
            return Verdict(True, self._hash(password) if self._is_outdated(stored) else None)
        if stored is None or not stored.startswith(_OURS):
            # As much work as one of ours, so that the time does not tell what there is.
            _matches(password, self._nobody)
        return Verdict(False, None)

    def _is_outdated(self, stored: str) -> bool:
        return not stored.startswith(_OURS) or self._argon2.check_needs_rehash(stored)

    async def _run(self, lane: Lane, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._lanes.enter(lane)
        job = asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))
        # When the job is over, not when its caller is gone: a hash that runs cannot be stopped.
        job.add_done_callback(lambda _: self._lanes.leave())
        return await asyncio.shield(job)


def _matches(password: str, stored: str) -> bool:
    try:
        known = parse_hash(stored)
    except UnknownHashError:
        return False
    composed, typed = bytes_of(password), password.encode("utf-8", "surrogatepass")
    if known.matches(composed):
        return True
    # Other systems hash what was typed.
    return typed != composed and not stored.startswith(_OURS) and known.matches(typed)


def bytes_of(password: str) -> bytes:
    """What is hashed of *password*, which has at most 128 characters."""
    # NFC: the same password typed on another keyboard may come as other code points.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
