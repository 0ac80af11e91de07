"""What the stack is told."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StackSettings(BaseSettings):
    """
    Settings of the embedded stack.

    Args:
        home: Folder of data, logs, secrets and endpoints.json.
        edge_host: Address that the edge listens on.
        edge_port: Port that the edge listens on.
        edge_trusted_hops: Proxies in front of the edge. A client's address is taken from the
            X-Forwarded-For that this many of them wrote; 0: from the connection alone.
        redis_url: A Redis to use instead of starting one.
        postgres_dsn: A Postgres database to use instead of starting one.
        draw_processes: Draw processes, one port each.
    """

    model_config = SettingsConfigDict(
        env_prefix="KUJI_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Path(".run")
    edge_host: str = "127.0.0.1"
    edge_port: int = Field(default=8080, ge=1, le=65535)
    edge_trusted_hops: int = Field(default=0, ge=0, le=16)
    redis_url: str | None = None
    postgres_dsn: str | None = None
    draw_processes: int = Field(default=1, ge=1, le=64)
