"""The admin process: python -m services.admin."""

import asyncio

from services.admin.assembly import open_admin
from services.admin.settings import AdminSettings
from services.common.process import run_process
from services.common.server.health import Health
from services.common.server.serve import serve_until_stopped


async def run(settings: AdminSettings, health: Health) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with open_admin(settings) as admin, asyncio.TaskGroup() as background:
        background.create_task(admin.finisher.run())
        await serve_until_stopped(
            admin.services, admin.verifier, settings, health, needs=admin.needs
        )
        admin.finisher.stop()


if __name__ == "__main__":
    run_process("admin", AdminSettings, run)
