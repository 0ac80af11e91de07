"""What locust loads: every kind of user, and what each of its processes leaves behind."""

import os
from pathlib import Path
from typing import Any

import locust_plugins  # noqa: F401  # --check-rps, --check-fail-ratio, --check-avg-response-time, -i
from locust import events

from tests.load.busy import BusyWatch
from tests.load.users.accounts import Newcomer, Returner
from tests.load.users.boxes import CardOwner, Shop
from tests.load.users.lottery import (
    Drawer,
    Latecomer,
    Listener,
    Opener,
    Replayer,
    Visitor,
    WinnersReader,
)
from tests.load.users.player import plan
from tests.load.users.stubs import StubDrawer

__all__ = [
    "CardOwner",
    "Drawer",
    "Latecomer",
    "Listener",
    "Newcomer",
    "Opener",
    "Replayer",
    "Returner",
    "Shop",
    "StubDrawer",
    "Visitor",
    "WinnersReader",
]

_watches: dict[int, BusyWatch] = {}


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _watch(**_: Any) -> None:
    _watches[os.getpid()] = BusyWatch(Path(plan().folder))
    _watches[os.getpid()].start()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _leave(**_: Any) -> None:
    watch = _watches.get(os.getpid())
    if watch is not None:
        watch.write()
