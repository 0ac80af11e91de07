"""The history process: python -m services.history."""

from services.common.process import run_process
from services.common.server.health import Health
from services.common.server.serve import serve_until_stopped
from services.history.assembly import open_history
from services.history.settings import HistorySettings


async def run(settings: HistorySettings, health: Health) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with open_history(settings) as history:
        # Streams do not end by themselves, and would hold up the draining.
        on_stopping = history.feed.close
        await serve_until_stopped(
            history.services, history.verifier, settings, health, on_stopping, needs=history.needs
        )


if __name__ == "__main__":
    run_process("history", HistorySettings, run)
