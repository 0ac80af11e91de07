"""
The bare script: the draw script called straight through redis-py, no service and no recorder.

Its arguments are made before the clock starts, and its replies are read after it stops.
"""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgpack
from redis import Redis

from services.pool.marks.mark import NO_LIMIT
from services.pool.rule.clock import ANY_TIME
from services.pool.rule.prize_code import CODE_BYTES
from services.pool.rule.terms import Intent
from services.pool.store.keys import key
from services.pool.store.layout import Known
from services.pool.store.scripts import load_script
from tests.bench.jobs import Job, Tally

_NO_BACKLOG_BOUND = 1 << 40
_NO_BLOCKS: bytes = msgpack.packb([])
_TIMEOUT_S = 20.0


def run(job: Job, user_of: Callable[[int, int], int]) -> tuple[Tally, list[tuple[int, bytes]]]:
    """Draw job.draws draws from job.in_flight connections; the tally, and the replies."""
    batches = [_packed(job, number, user_of) for number in range(job.draws // job.batch)]
    redis = Redis.from_url(job.target, socket_timeout=_TIMEOUT_S, max_connections=job.in_flight)
    script = load_script("draw")
    sha = redis.script_load(script.source)
    known = Known(0, 0, NO_LIMIT, *ANY_TIME).pack()
    keys = [key(job.pool_id, name) for name in script.keys]

    def send(packed: bytes) -> bytes:
        reply: bytes = redis.execute_command(  # type: ignore[no-untyped-call]
            *("EVALSHA", sha, len(keys), *keys, packed, _NO_BACKLOG_BOUND, 0, _NO_BLOCKS, known)
        )
        return reply

    with redis, ThreadPoolExecutor(job.in_flight) as threads:
        cpu_s, started = time.process_time(), time.monotonic()
        replies = list(enumerate(threads.map(send, batches)))
        ended, cpu_s = time.monotonic(), time.process_time() - cpu_s
    return Tally(job.draws, len(batches), started, ended, cpu_s, {}), replies


def _packed(job: Job, number: int, user_of: Callable[[int, int], int]) -> bytes:
    first = number * job.batch
    intents = [_intent(job, k, user_of(k, job.users)) for k in range(first, first + job.batch)]
    packed: bytes = msgpack.packb(list(zip(*intents, strict=True))[:-1], use_bin_type=False)
    return packed


def _intent(job: Job, number: int, user_id: int) -> Intent:
    request_id = f"{job.name}-{number}"
    roll = hashlib.sha256(request_id.encode()).digest()
    return Intent(user_id, request_id, roll[:16], 1, roll, roll[: 2 * CODE_BYTES])
