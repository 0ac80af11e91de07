"""Tasks that run until they are cancelled, and really end then."""

import asyncio


def end_if_cancelled() -> None:
    """
    CancelledError where this task was told to end, and something on the way kept that to itself.

    asyncio.wait_for does so in Python 3.11, when what it waits for completes at the same moment;
    clients of Redis and Postgres use it. A loop without end would go on, and whoever cancelled it
    wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def pause(delay_s: float) -> None:
    """Sleep between two rounds of a loop without end; ends it once it is cancelled."""
    end_if_cancelled()
    await asyncio.sleep(delay_s)
