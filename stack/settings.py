"""What the stack is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from services.common.settings import PostgresDsn, RedisUrl
from stack.edge.settings import EdgeSettings


def _ports_of(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = [pair.partition("=") for pair in text.replace(",", " ").split()]
    if not all(port.isdigit() and 0 < int(port) < 65536 for _, _, port in pairs):
        raise ValueError('ports are named like "draw=9002,draw-metrics=9102"')
    return {name: int(port) for name, _, port in pairs}


class StackSettings(EdgeSettings):
    """
    Settings of the embedded stack; see EdgeSettings. Besides:

    Args:
        home: Folder of data, logs, secrets and endpoints.json.
        edge_host: Address or name that the edge listens on.
        edge_port: Port that the edge listens on.
        edge_threads: Threads of the edge that serve; 0: half as many as there are cores.
        redis_url: A Redis to use instead of starting one.
        postgres_dsn: A Postgres database to use instead of starting one.
        draw_processes: Draw processes, one port each.
        ports: Ports on loopback, by part; the others are chosen once, and kept.
        max_log_bytes: A log that is larger becomes "….old.log", while its part runs, and the one
            before is dropped; 0: nothing is cut.
    """

    home: Path = Path(".run")
    edge_host: str = "127.0.0.1"
    edge_port: int = Field(default=8080, ge=1, le=65535)
    edge_threads: int = Field(default=0, ge=0, le=256)
    redis_url: RedisUrl | None = None
    postgres_dsn: PostgresDsn | None = None
    draw_processes: int = Field(default=1, ge=1, le=64)
    ports: Annotated[Mapping[str, int], NoDecode, BeforeValidator(_ports_of)] = {}
    max_log_bytes: int = Field(default=64 << 20, ge=0)
