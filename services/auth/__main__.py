"""The auth process: python -m services.auth."""

import asyncio

from services.auth.assembly import open_auth
from services.auth.settings import AuthSettings
from services.common.process import run_process
from services.common.server.health import Health
from services.common.server.serve import serve_until_stopped
from services.common.tasks import repeat


async def run(settings: AuthSettings, health: Health) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with open_auth(settings) as auth, asyncio.TaskGroup() as tasks:
        upkeep = [
            tasks.create_task(repeat("load_keys", auth.ring.load, settings.key_reload_s)),
            tasks.create_task(repeat("delete_expired", auth.delete_expired, settings.cleanup_s)),
        ]
        await serve_until_stopped([auth.implementation], auth.verifier, settings, health)
        for task in upkeep:
            task.cancel()


if __name__ == "__main__":
    run_process("auth", AuthSettings, run)
