"""What the stack is told."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.common.settings import PostgresDsn, RedisUrl


def _ports_of(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = [pair.partition("=") for pair in text.replace(",", " ").split()]
    if not all(port.isdigit() and 0 < int(port) < 65536 for _, _, port in pairs):
        raise ValueError('ports are named like "draw=9002,draw-metrics=9102"')
    return {name: int(port) for name, _, port in pairs}


_ORIGIN = re.compile(r"https?://[^/,\s]+|\*")


def _origins_of(text: object) -> object:
    if not isinstance(text, str):
        return text
    found = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; https://shop.example is one")
    return ("*",) if "*" in found else found


Calls = Annotated[int, Field(ge=1, le=1_000_000)]


class StackSettings(BaseSettings):
    """
    Settings of the embedded stack.

    Args:
        home: Folder of data, logs, secrets and endpoints.json.
        edge_host: Address or name that the edge listens on.
        edge_port: Port that the edge listens on.
        edge_trusted_hops: Proxies in front of the edge. A client's address is taken from the
            X-Forwarded-For that this many of them wrote; 0: from the connection alone.
        edge_origins: Whose pages may call the edge from a browser, such as "https://shop.example";
            in the environment, separated by commas. "*": everybody's.
        edge_address_per_s: Calls that the edge takes of an address in a second, of IPv6 of its /64.
        edge_address_burst: How many at once, after a pause.
        edge_login_per_s: Registrations of an address in a second; likewise its logins, and its
            refreshes.
        edge_login_burst: How many of each at once, after a pause.
        edge_user_per_s: Calls of a user in a second, by the token, from wherever.
        edge_user_burst: How many at once, after a pause.
        redis_url: A Redis to use instead of starting one.
        postgres_dsn: A Postgres database to use instead of starting one.
        draw_processes: Draw processes, one port each.
        ports: Ports on loopback, by part; the others are chosen once, and kept.
    """

    model_config = SettingsConfigDict(
        env_prefix="KUJI_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Path(".run")
    edge_host: str = "127.0.0.1"
    edge_port: int = Field(default=8080, ge=1, le=65535)
    edge_trusted_hops: int = Field(default=0, ge=0, le=16)
    edge_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins_of)] = ("*",)
    edge_address_per_s: Calls = 10_000
    edge_address_burst: Calls = 20_000
    edge_login_per_s: Calls = 50
    edge_login_burst: Calls = 3_000
    edge_user_per_s: Calls = 5_000
    edge_user_burst: Calls = 10_000
    redis_url: RedisUrl | None = None
    postgres_dsn: PostgresDsn | None = None
    draw_processes: int = Field(default=1, ge=1, le=64)
    ports: Annotated[Mapping[str, int], NoDecode, BeforeValidator(_ports_of)] = {}
