"""A service's process, from its settings to its exit code."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import uvloop

from services.common.event_loop import watched
from services.common.logs import configure_logs, log_what_python_says
from services.common.metrics import serve_metrics
from services.common.server.health import Health, telling_health
from services.common.server.serve import STOP_SIGNALS
from services.common.settings import ServiceSettings, read_settings
from services.common.traces.switch import tracing

# A call makes hundreds of objects, nearly all of which die with it; to look through the young ones
# after each 700 finds nothing, and costs a draw a twentieth of its CPU.
_YOUNG = 20_000
_ROUNDS_OF_YOUNG = 50

SettingsType = TypeVar("SettingsType", bound=ServiceSettings)


def run_process(
    name: str,
    kind: type[SettingsType],
    serve: Callable[[SettingsType, Health], Coroutine[Any, Any, None]],
) -> None:
    """
    Run *serve* as the process *name*, with its logs, metrics and health, until it returns.

    Exits with code 2 where a setting is unfit, and with code 1 and one sentence where the process
    cannot serve: an address is taken, a database refuses, a secret does not open what is stored.
    """
    settings = read_settings(kind)
    configure_logs(name, settings.log_level)
    log_what_python_says()
    gc.freeze()  # what was imported stays
    gc.set_threshold(_YOUNG, _ROUNDS_OF_YOUNG, _ROUNDS_OF_YOUNG)
    failure: BaseException | None = None
    try:
        serve_metrics(name, settings.metrics_listen)
        with tracing(name):
            uvloop.run(watched(_serve(settings, serve)))
    except* asyncio.CancelledError:
        pass  # told to stop before it served
    except* (OSError, RuntimeError) as group:
        failure = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        sys.exit(f"kuji: {name} stopped: {failure}")


async def _serve(
    settings: SettingsType, serve: Callable[[SettingsType, Health], Coroutine[Any, Any, None]]
) -> None:
    own = cast("asyncio.Task[None]", asyncio.current_task())
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        # What waits for another part to begin with has to end as well, also where it is a
        # container's first process, which no signal ends by itself.
        loop.add_signal_handler(number, own.cancel)
    async with telling_health(settings.health_listen) as health:
        await serve(settings, health)
