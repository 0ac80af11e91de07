"""Connections to Redis and Postgres that note what they are asked for, where traces are on."""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline as RedisPipeline

from services.common.traces.local import Value
from services.common.traces.switch import pipeline, traced_step

_POSTGRES = "postgresql"
_MAX_TEXT = 1000
_VERB = re.compile(r"(?:\s|--[^\n]*\n)*(\w+)")


def noting(redis: Redis) -> Redis:
    """*redis*, which from now on notes its calls in the trace that they are part of."""
    if pipeline() is None:
        return redis
    execute, open_pipe = redis.execute_command, redis.pipeline

    async def execute_command(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        with traced_step(str(arguments[0]), _of_redis(str(arguments[0]))):
            return await execute(*arguments, **options)  # type: ignore[no-untyped-call]

    def open_noting_pipe(*arguments: Any, **options: Any) -> RedisPipeline:  # noqa: ANN401
        pipe = open_pipe(*arguments, **options)
        send = pipe.execute

        async def execute_pipe(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            with traced_step("PIPELINE", _of_redis("PIPELINE")):
                return await send(*arguments, **options)

        pipe.execute = execute_pipe  # type: ignore[method-assign]
        return pipe

    redis.execute_command = execute_command  # type: ignore[method-assign]
    redis.pipeline = open_noting_pipe  # type: ignore[method-assign]
    return redis


def _of_redis(operation: str) -> dict[str, Value]:
    return {"db.system.name": "redis", "db.operation.name": operation}


def _verb_of(text: str) -> str:
    found = _VERB.match(text)
    return found[1].upper() if found else "QUERY"


def _noted(method: Callable[..., Awaitable[Any]], verb: str = "") -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def call(
        self: asyncpg.Connection,
        text: str,
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        operation = verb or _verb_of(text)
        # The text alone: what it is asked with may be secret.
        said: dict[str, Value] = {"db.system.name": _POSTGRES, "db.operation.name": operation}
        said["db.collection.name" if verb else "db.query.text"] = text[:_MAX_TEXT]
        with traced_step(operation, said):
            return await method(self, text, *arguments, **options)

    return call


class NotingConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection to Postgres that notes its statements in the trace that they are part of."""

    execute = _noted(asyncpg.Connection.execute)
    executemany = _noted(asyncpg.Connection.executemany)
    fetch = _noted(asyncpg.Connection.fetch)
    fetchrow = _noted(asyncpg.Connection.fetchrow)
    fetchval = _noted(asyncpg.Connection.fetchval)
    copy_records_to_table = _noted(asyncpg.Connection.copy_records_to_table, "COPY")


def connection_class() -> type[asyncpg.Connection]:
    """Of the connections to Postgres."""
    return asyncpg.Connection if pipeline() is None else NotingConnection
