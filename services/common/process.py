"""A service's process, from its settings to its exit code."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from services.common.event_loop import watched
from services.common.logs import configure_logs
from services.common.metrics import serve_metrics
from services.common.settings import ServiceSettings, read_settings

SettingsType = TypeVar("SettingsType", bound=ServiceSettings)


def run_process(
    name: str, kind: type[SettingsType], serve: Callable[[SettingsType], Coroutine[Any, Any, None]]
) -> None:
    """
    Run *serve* as the process *name*, with its logs and metrics, until it returns.

    Exits with code 2 where a setting is unfit, and with code 1 and one sentence where the process
    cannot serve: an address is taken, a database refuses, a secret does not open what is stored.
    """
    settings = read_settings(kind)
    configure_logs(name, settings.log_level)
    failure: BaseException | None = None
    try:
        serve_metrics(name, settings.metrics_listen)
        uvloop.run(watched(serve(settings)))
    except* (OSError, RuntimeError) as group:
        failure = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        sys.exit(f"kuji: {name} stopped: {failure}")
