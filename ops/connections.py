"""Where the stores and the edge are: from the environment, else from a running stack."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ops.errors import OperatorError
from services.common.outages import is_outage
from services.common.settings import PostgresDsn, RedisUrl
from stack.home import Home
from stack.probes import certificate_itself
from stack.processes import command

_CONNECT_TIMEOUT_S = 5.0
_REPLY_TIMEOUT_S = 10.0
_STATEMENT_TIMEOUT_S = 600.0  # an audit scans whole ledgers
_BEAT_S = 2.0
_BEAT_TIMEOUT_S = 2.0
_BEATS_MISSED = 3


class OpsSettings(BaseSettings):
    """
    What the commands are told.

    Args:
        home: Folder of the stack that they work on.
        redis_url: Its Redis, where that is not in endpoints.json.
        postgres_dsn: Its database, likewise.
        edge_ca_file: Certificates, PEM, by which those of that edge are checked; none: by what this
            machine trusts.
        admin_username: The administrator who logs in there, where that is not in endpoints.json.
        admin_password: His password, likewise.
        role_passwords_folder: Where the services' passwords for the database are, each in a file of
            the service's name; `kuji migrate` then makes their roles.
        edge_url: Its edge, where that is not in endpoints.json.
        auth_address, draw_address, admin_address, history_address: host:port of its services,
            likewise.
    """

    model_config = SettingsConfigDict(
        env_prefix="KUJI_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Path(".run")
    redis_url: RedisUrl | None = None
    postgres_dsn: PostgresDsn | None = None
    edge_ca_file: Path | None = None
    admin_username: str = "admin"
    admin_password: SecretStr | None = None
    role_passwords_folder: Path | None = None
    edge_url: str = ""
    auth_address: str = ""
    draw_address: str = ""
    admin_address: str = ""
    history_address: str = ""


class Login(BaseModel):
    """An administrator's credentials."""

    username: str
    password: str


class Endpoints(BaseModel):
    """endpoints.json: where the parts of a running stack are."""

    edge: str
    edge_certificate: Path | None = None
    grpc: dict[str, str]
    redis: str
    postgres: str
    admin: Login

    @property
    def trusted(self) -> ssl.SSLContext | None:
        """By what the certificate of its edge is checked; None: it has none."""
        return certificate_itself(self.edge_certificate) if self.edge_certificate else None


class Stores(NamedTuple):
    """Open connections to both stores."""

    postgres: asyncpg.Pool
    redis: Redis


def read_endpoints(home: Path) -> Endpoints:
    """
    The endpoints of the stack in *home*.

    Raises:
        OperatorError: No stack runs there.
    """
    file = Home(home).endpoints_file
    try:
        return Endpoints.model_validate(json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        raise OperatorError(
            f"No stack runs in {file.parent}: start one with `{command('up')}`, "
            "or set KUJI_POSTGRES_DSN and KUJI_REDIS_URL"
        ) from None
    except (ValueError, ValidationError) as error:
        raise OperatorError(f"{file} is not a stack's endpoints: {error}") from error


def store_addresses(settings: OpsSettings) -> tuple[str, str]:
    """Postgres's DSN and Redis's URL; OperatorError where neither source names them."""
    if settings.postgres_dsn and settings.redis_url:
        return settings.postgres_dsn, settings.redis_url
    endpoints = read_endpoints(settings.home)
    return settings.postgres_dsn or endpoints.postgres, settings.redis_url or endpoints.redis


def postgres_address(settings: OpsSettings) -> str:
    """Postgres's DSN; OperatorError where neither source names it."""
    return settings.postgres_dsn or read_endpoints(settings.home).postgres


@asynccontextmanager
async def open_stores(settings: OpsSettings) -> AsyncIterator[Stores]:
    """
    Both stores, closed on leaving.

    Raises:
        OperatorError: It is not known where they are, or one fails, now or inside.
    """
    dsn, url = store_addresses(settings)
    async with open_database(dsn) as postgres, open_redis(url) as redis:
        yield Stores(postgres, redis)


@asynccontextmanager
async def open_database(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """
    The database, closed on leaving.

    An audit may take long, so its statements may; but a server that is silent meanwhile is given
    up within seconds.

    Raises:
        OperatorError: It does not answer, now or inside.
    """
    pool = await asyncpg.create_pool(
        dsn, min_size=0, timeout=_CONNECT_TIMEOUT_S, command_timeout=_STATEMENT_TIMEOUT_S
    )
    watch = asyncio.create_task(_terminate_when_silent(dsn, pool))
    try:
        await pool.fetchval("SELECT 1", timeout=_CONNECT_TIMEOUT_S)
        yield pool
    except Exception as error:
        if _is_no_answer(error):
            raise OperatorError(f"Postgres does not answer: {_reason(error)}") from error
        if not isinstance(error, asyncpg.PostgresError) and not _is_lost(error):
            raise
        if watch.done():
            raise OperatorError("Postgres does not answer any more") from error
        raise OperatorError(f"Postgres refuses: {_reason(error)}") from error
    finally:
        watch.cancel()
        await _close(pool)


def _is_no_answer(error: Exception) -> bool:
    # Of the rest of OSError a command's own files may be the cause.
    is_cut = isinstance(error, ConnectionError) and not isinstance(error, BrokenPipeError)
    return is_cut or isinstance(error, TimeoutError)


async def _terminate_when_silent(dsn: str, pool: asyncpg.Pool) -> None:
    """End the connections of *pool*, and so whatever waits for them, once the server is silent."""
    missed = 0  # one alone may be our own doing, in a long calculation
    while missed < _BEATS_MISSED:
        missed = 0 if await _is_heard(dsn) else missed + 1
        if not missed:
            await asyncio.sleep(_BEAT_S)
    pool.terminate()


async def _is_heard(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=_BEAT_TIMEOUT_S)
    except asyncpg.PostgresError:
        return True  # it is full, or on its way down: what waits will hear so itself
    except OSError:  # a TimeoutError is one
        return False
    connection.terminate()
    return True


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await pool.close()
    except Exception as error:
        if not is_outage(error):
            raise
        pool.terminate()


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """
    Redis, closed on leaving.

    Raises:
        OperatorError: It does not answer, now or inside.
    """
    redis = Redis.from_url(
        url,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_REPLY_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        await redis.ping()
        yield redis
    except RedisError as error:
        raise OperatorError(f"Redis does not answer: {_reason(error)}") from error
    finally:
        await redis.aclose()


def _is_lost(error: Exception) -> bool:
    """Whether a connection has gone; what a command meets of files is another matter."""
    return is_outage(error) and not isinstance(error, OSError)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
