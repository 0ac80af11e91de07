"""The installation that is examined: where its parts are, and connections to its stores."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ops.connections import OpsSettings
from ops.errors import OperatorError
from stack.home import SECRET_NAMES, Home

TIMEOUT_S = 3.0
SERVICES = ("auth", "draw", "admin", "history")
_CONNECTIONS = 4
_HIDDEN = "…"
_SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Patient:
    """
    What is known of an installation.

    Args:
        settings: What the command is told.
        home: The folder of a stack on this machine; it need not be there.
        endpoints: What its endpoints.json says; empty: no stack runs there.
        secrets: Those that are known here, by name.
        environment: The variables of this process.
        redis_url: Where Redis is; None: nobody says.
        postgres_dsn: Likewise Postgres.
        redis: A client that does not decode responses; None: as above.
        postgres: Connections; None: as above.
    """

    settings: OpsSettings
    home: Home
    endpoints: Mapping[str, Any]
    secrets: Mapping[str, str]
    environment: Mapping[str, str]
    redis_url: str | None
    postgres_dsn: str | None
    redis: Redis | None
    postgres: asyncpg.Pool | None

    @property
    def is_home_used(self) -> bool:
        """Whether a stack of this machine is what is looked at, running or not."""
        return self.home.data("").exists() or bool(self.endpoints)

    @property
    def has_own_stores(self) -> bool:
        """Whether the stores are the stack's own, and their data lies in its folder."""
        return self.home.data("valkey").exists()

    def address_of(self, service: str) -> str | None:
        """host:port of a service."""
        given: str = getattr(self.settings, f"{service}_address")
        return given or self.endpoints.get("grpc", {}).get(service)

    @property
    def edge_url(self) -> str | None:
        """Where the edge is."""
        return self.settings.edge_url or self.endpoints.get("edge")

    def without_secrets(self, text: str) -> str:
        """*text*, in which no secret stands that is known here."""
        for secret in self._hidden():
            text = text.replace(secret, _HIDDEN)
        return text

    def _hidden(self) -> set[str]:
        urls = [self.redis_url, self.postgres_dsn, *self._given_urls()]
        passwords = [urlsplit(url).password for url in urls if url]
        admin = self.endpoints.get("admin", {}).get("password")
        found = [*self.secrets.values(), *passwords, admin]
        return {one for one in found if one and len(one) >= _SHORTEST_SECRET}

    def _given_urls(self) -> list[str]:
        return [self.endpoints.get(name, "") for name in ("redis", "postgres")]


@asynccontextmanager
async def admitted(settings: OpsSettings) -> AsyncIterator[Patient]:
    """
    An installation, its connections closed on leaving; nobody need answer.

    Raises:
        OperatorError: It is not known where one is.
    """
    home = Home(settings.home)
    endpoints = _endpoints(home)
    url = settings.redis_url or endpoints.get("redis")
    dsn = settings.postgres_dsn or endpoints.get("postgres")
    redis = _redis(url) if url else None
    postgres = await _postgres(dsn) if dsn else None
    secrets = _secrets(home)
    patient = Patient(settings, home, endpoints, secrets, os.environ, url, dsn, redis, postgres)
    try:
        if not (url or dsn or patient.is_home_used):
            raise OperatorError(
                f"There is no stack in {home.folder}: set KUJI_HOME, or KUJI_POSTGRES_DSN and "
                "KUJI_REDIS_URL"
            )
        yield patient
    finally:
        if postgres is not None:
            postgres.terminate()
        if redis is not None:
            await redis.aclose()


def _endpoints(home: Home) -> Mapping[str, Any]:
    found = _json(home.endpoints_file)
    return found if isinstance(found, dict) else {}


def _secrets(home: Home) -> dict[str, str]:
    stored = _json(home.secrets_file)
    known = stored if isinstance(stored, dict) else {}
    given = {name: os.environ[name] for name in SECRET_NAMES if os.environ.get(name)}
    return {name: str(value) for name, value in known.items()} | given


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


async def _postgres(dsn: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=_CONNECTIONS,
        timeout=TIMEOUT_S,
        command_timeout=TIMEOUT_S,
        server_settings={"application_name": "kuji-doctor"},
    )
