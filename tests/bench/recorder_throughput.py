"""
Measures the recorder: draws a second from a filled ledger into Postgres, and the CPU it takes.

    .venv/bin/python -m tests.bench.recorder_throughput [draws] [one win in n]

Starts a Valkey and a Postgres of its own (fsync on), fills one pool's ledger, runs the
recorder's process until all is recorded, and prints the figures. Takes no part in `make test`.
"""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from services.common.migrate import migrate
from stack import databases, servers
from stack.ports import free_port
from stack.processes import Child, stop
from tests.support.history import LedgerWriter, PrizeSpec, make_pool, make_users

USERS = 100_000
ENTRY_DRAWS = 200


async def _fill(
    writer: LedgerWriter, prize: PrizeSpec, users: list[int], draws: int, n: int
) -> None:
    for first in range(0, draws, ENTRY_DRAWS):
        outcomes = [
            (users[i * 7919 % USERS], prize.prize_id if i % n == 0 else 0)
            for i in range(first, first + ENTRY_DRAWS)
        ]
        await writer.draw(outcomes)


async def _recorded(postgres: asyncpg.Pool, pool_id: int) -> int:
    seq: int = await postgres.fetchval("SELECT recorded_seq FROM pools WHERE id = $1", pool_id)
    return seq


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(dsn: str, redis_url: str, draws: int, n: int) -> None:
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()
    redis = Redis.from_url(redis_url)
    async with asyncpg.create_pool(dsn, min_size=0) as postgres:
        users = await make_users(postgres, USERS)
        writer, prizes = await make_pool(postgres, redis, units=draws)
        await _fill(writer, prizes[0], users, draws, n)
        await postgres.execute("VACUUM ANALYZE")
        child = subprocess.Popen(  # noqa: ASYNC220  # started once, before the measurement
            [sys.executable, "-m", "services.recorder"],
            env={
                **os.environ,
                "KUJI_LISTEN": f"127.0.0.1:{free_port()}",
                "KUJI_POSTGRES_DSN": dsn,
                "KUJI_REDIS_URL": redis_url,
            },
        )
        try:
            while not (first := await _recorded(postgres, writer.pool_id)):
                if child.poll() is not None:
                    sys.exit("the recorder did not start")
                await asyncio.sleep(0.01)
            started, cpu_s = time.perf_counter(), _cpu_s(child.pid)
            while await _recorded(postgres, writer.pool_id) < draws:  # noqa: ASYNC110  # a process
                await asyncio.sleep(0.02)
            took_s, cpu_s = time.perf_counter() - started, _cpu_s(child.pid) - cpu_s
        finally:
            child.terminate()
            child.wait(10)
    await redis.aclose()
    count = draws - first
    print(
        f"{count} draws, 1 win in {n}: {count / took_s:,.0f} draws/s; recorder process "
        f"{cpu_s / took_s:.2f} cores, {cpu_s / count * 1e6:.1f} us of CPU a draw"
    )


def main() -> None:
    """Start the servers, measure, stop them."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix="kuji-bench-") as name:
        folder = Path(name)
        ports, password = (free_port(), free_port()), secrets.token_hex()
        children = [
            Child(servers.valkey(folder / "valkey", ports[0], folder / "valkey.log")),
            Child(servers.postgres(folder / "postgres", ports[1], folder / "postgres.log", {})),
        ]
        dsn = f"postgresql://postgres:{password}@127.0.0.1:{ports[1]}/postgres"
        url = f"redis://127.0.0.1:{ports[0]}/0"
        try:
            asyncio.run(_ready(children, url, folder / "postgres", ports[1], password))
            asyncio.run(_measure(dsn, url, draws, n))
        finally:
            stop(children, timeout_s=10)


async def _ready(children: list[Child], url: str, folder: Path, port: int, password: str) -> None:
    await children[0].wait_until_ready(lambda: servers.valkey_answers(url))
    await children[1].wait_until_ready(lambda: databases.is_up(folder, port))
    await databases.open_to_superuser(folder, port, password)


if __name__ == "__main__":
    main()
