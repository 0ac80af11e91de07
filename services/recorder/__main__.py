"""The recorder process: python -m services.recorder. It serves health, nothing else."""

import asyncio

from services.common.keyset import Jwks
from services.common.looks import looking_at_postgres, looking_at_redis
from services.common.process import run_process
from services.common.server.health import Health
from services.common.server.serve import serve_until_stopped
from services.common.tokens import TokenVerifier
from services.recorder.connections import open_postgres, open_redis
from services.recorder.recorder import Recorder
from services.recorder.settings import RecorderSettings


async def _no_keys() -> Jwks:
    return {"keys": []}  # nothing here asks for a token


async def run(settings: RecorderSettings, health: Health) -> None:
    """Record until SIGTERM or SIGINT; the batches in hand are finished."""
    redis = open_redis(settings)
    async with (
        open_postgres(settings) as postgres,
        looking_at_postgres(settings.postgres_dsn) as look_at_postgres,
        looking_at_redis(settings.redis_url) as look_at_redis,
        asyncio.TaskGroup() as tasks,
    ):
        recorder = Recorder(postgres, redis, settings)
        tasks.create_task(recorder.run())
        needs = {"Postgres": look_at_postgres, "Redis": look_at_redis}
        await serve_until_stopped([], TokenVerifier(_no_keys), settings, health, needs=needs)
        recorder.stop()
    await redis.aclose()


if __name__ == "__main__":
    run_process("recorder", RecorderSettings, run)
