"""Access tokens for load tests, many and fast: signed in all cores at once."""

import asyncio
import json
import multiprocessing
import os
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import asyncpg
from jwt.utils import base64url_encode

from services.auth.access_tokens import claims_of
from services.auth.keys import SigningKey
from services.auth.signing import KIND_OF_ALGORITHM
from services.common.context import Caller, Role
from services.common.postgres import load_queries
from services.common.tasks import end_if_cancelled

BATCH = 2000
_AHEAD = 3  # batches under way for each core

_queries = load_queries(__file__)
Owner = tuple[int, str, int]  # id, name, generation of its tokens


@dataclass(frozen=True, slots=True)
class Mint:
    """
    What a process needs to sign tokens.

    Args:
        algorithm: What the key signs by.
        kid: Name of the key.
        private: Its private half, raw.
        issued_at: Unix seconds.
        ttl_s: Life of the tokens.
    """

    algorithm: str
    kid: str
    private: bytes
    issued_at: int
    ttl_s: int

    def sign(self, owners: Sequence[Owner]) -> bytes:
        """A token a line, for each of the *owners*."""
        pair = KIND_OF_ALGORITHM[self.algorithm].of_raw(self.private)
        header = _encoded({"alg": self.algorithm, "kid": self.kid, "typ": "JWT"}) + b"."
        lines = []
        for user_id, username, generation in owners:
            caller = Caller(user_id, username, Role.USER, generation=generation)
            claims = claims_of(caller, self.issued_at, self.ttl_s, secrets.token_hex(16))
            signed = header + _encoded(claims)
            lines.append(signed + b"." + base64url_encode(pair.sign(signed)) + b"\n")
        return b"".join(lines)


def mint_of(key: SigningKey, ttl_s: int) -> Mint:
    """A mint of tokens that are issued now."""
    return Mint(key.pair.algorithm, key.kid, key.pair.raw(), int(time.time()), ttl_s)


async def mint_tokens(
    pool: asyncpg.Pool, mint: Mint, prefix: str, count: int
) -> AsyncIterator[tuple[int, bytes]]:
    """
    Tokens of the *count* oldest users whose names begin with *prefix*, fewer where there are fewer.

    Yields:
        How many tokens, and the tokens, each with its line end.
    """
    if count <= BATCH:  # sooner done than other processes are there
        async for owners in _owners(pool, prefix, count):
            yield len(owners), mint.sign(owners)
        return
    cores = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")  # this process has connections
    with ProcessPoolExecutor(cores, mp_context=context) as workers:
        loop = asyncio.get_running_loop()
        under_way: deque[tuple[int, asyncio.Future[bytes]]] = deque()
        async for owners in _owners(pool, prefix, count):
            under_way.append(
                (len(owners), loop.run_in_executor(workers, partial(mint.sign, owners)))
            )
            if len(under_way) >= cores * _AHEAD:
                number, lines = under_way.popleft()
                yield number, await lines
        for number, lines in under_way:
            yield number, await lines


async def _owners(pool: asyncpg.Pool, prefix: str, count: int) -> AsyncIterator[list[Owner]]:
    after = 0
    while count > 0:
        rows = _queries.list_for_tokens(pool, after=after, prefix=prefix, at_most=min(BATCH, count))
        owners = [(row["id"], row["username"], row["token_generation"]) async for row in rows]
        if not owners:
            return
        end_if_cancelled()
        yield owners
        after, count = owners[-1][0], count - len(owners)


def _encoded(content: dict[str, object]) -> bytes:
    return base64url_encode(json.dumps(content, separators=(",", ":")).encode())
