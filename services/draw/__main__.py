"""The draw process: python -m services.draw."""

from services.common.process import run_process
from services.common.server.health import Health
from services.common.server.serve import serve_until_stopped
from services.draw.assembly import open_draw
from services.draw.settings import DrawSettings


async def run(settings: DrawSettings, health: Health) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with open_draw(settings) as draw:
        await serve_until_stopped(
            draw.services,
            draw.verifier,
            settings,
            health,
            ready=draw.ready,
            needs=draw.needs,
            front=settings.draw_front,
        )


if __name__ == "__main__":
    run_process("draw", DrawSettings, run)
