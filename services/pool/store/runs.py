"""
The scripts as the store's present run has them.

A server keeps scripts in its memory alone. Ours bear the name of the run that they were loaded in,
so no other run knows them: a store that was started anew, or another server that took its place,
answers NOSCRIPT before anything is done, and is then looked at.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from redis.asyncio import Redis

from services.common.errors import UnavailableError
from services.pool.store.scripts import Script

_ATTEMPTS = 5


class Run(NamedTuple):
    """
    A run of the store.

    Args:
        run_id: Its name.
        hashes: Of our scripts in it.
        is_cluster: Whether the keys of a script have to share a slot.
    """

    run_id: str
    hashes: Mapping[str, str]
    is_cluster: bool


class Runs:
    """
    Knows the present run.

    Args:
        redis: The store.
        scripts: By name.
        enter: Told the name of each new run, before a script is called in it.
    """

    def __init__(
        self, redis: Redis, scripts: Mapping[str, Script], enter: Callable[[str], None]
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._enter = enter
        self._run: Run | None = None
        self._entering = asyncio.Lock()

    async def current(self) -> Run:
        """The run in which scripts were called last; at first, the one that there is."""
        return self._run if self._run is not None else await self.after(None)

    async def after(self, gone: Run | None) -> Run:
        """The run that there is, *gone* being over."""
        async with self._entering:
            if self._run is None or self._run is gone:
                self._run = await self._load()
                self._enter(self._run.run_id)
            return self._run

    async def look(self) -> None:
        """Notice a new run without calling a script."""
        run = self._run
        if run is None or run.run_id != await run_id_of(self._redis):
            await self.after(run)

    async def call(
        self, run: Run, name: str, keys: Sequence[str], *arguments: bytes | str | int
    ) -> bytes:
        """A script's reply; NoScriptError: *run* is over."""
        command = ("EVALSHA", run.hashes[name], len(keys), *keys, *arguments)
        return cast(bytes, await self._redis.execute_command(*command))  # type: ignore[no-untyped-call]

    async def _load(self) -> Run:
        for _ in range(_ATTEMPTS):
            server = await self._redis.info("server")
            run_id = str(server["run_id"])
            hashes = {
                name: await self._redis.script_load(f"{script.source}\n-- {run_id}\n")
                for name, script in self._scripts.items()
            }
            if run_id == await run_id_of(self._redis):
                return Run(run_id, hashes, _is_cluster(server))
        raise UnavailableError


def _is_cluster(server: Mapping[str, object]) -> bool:
    return "cluster" in (server.get("redis_mode"), server.get("server_mode"))  # Redis's, Valkey's


async def run_id_of(redis: Redis) -> str:
    """What names the run of this server: another each time that it is started."""
    return str((await redis.info("server"))["run_id"])
