"""The recorder process: python -m services.recorder. It serves health, nothing else."""

import asyncio

from services.common.keyset import Jwks
from services.common.process import run_process
from services.common.server.serve import serve_until_stopped
from services.common.tokens import TokenVerifier
from services.recorder.connections import open_postgres, open_redis
from services.recorder.recorder import Recorder
from services.recorder.settings import RecorderSettings


async def _no_keys() -> Jwks:
    return {"keys": []}  # nothing here asks for a token


async def run(settings: RecorderSettings) -> None:
    """Record until SIGTERM or SIGINT; the batches in hand are finished."""
    redis = open_redis(settings)
    async with open_postgres(settings) as postgres, asyncio.TaskGroup() as tasks:
        recorder = Recorder(postgres, redis, settings)
        tasks.create_task(recorder.run())
        await serve_until_stopped([], TokenVerifier(_no_keys), settings)
        recorder.stop()
    await redis.aclose()


if __name__ == "__main__":
    run_process("recorder", RecorderSettings, run)
