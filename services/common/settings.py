"""Settings: frozen, read once from KUJI_… variables; a missing one stops the process by name."""

import sys
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.tls_files import TlsFiles


def _begins_with(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if url.partition("://")[0] not in schemes:  # not quoted: there may be a password in it
            raise ValueError(f"an address that begins with {schemes[0]}:// is needed")
        return url

    return AfterValidator(check)


RedisUrl = Annotated[str, _begins_with("redis", "rediss", "unix")]
PostgresDsn = Annotated[str, _begins_with("postgresql", "postgres")]


class TlsSettings(BaseSettings):
    """
    The certificates of a process; all three, or none: then connections are in the clear.

    Args:
        tls_cert_file: What it shows to other services, and to callers: PEM, its own first.
        tls_key_file: The key of that.
        tls_ca_file: Whose certificates it believes, of services and of callers; it takes no
            caller without one. The files are read again when they have changed.
    """

    model_config = SettingsConfigDict(env_prefix="KUJI_", frozen=True, extra="ignore")

    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None

    @field_validator("tls_cert_file", "tls_key_file", "tls_ca_file", mode="before")
    @classmethod
    def _none_where_empty(cls, value: object) -> object:
        return value or None

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if (
            len({one is None for one in (self.tls_cert_file, self.tls_key_file, self.tls_ca_file)})
            > 1
        ):
            raise ValueError("KUJI_TLS_CERT_FILE, _KEY_FILE and _CA_FILE are set all, or none is")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Its files; None: there are none."""
        if not (self.tls_cert_file and self.tls_key_file and self.tls_ca_file):
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_ca_file)


class ServiceSettings(TlsSettings):
    """
    What every process is told; see TlsSettings. Besides:

    Args:
        listen: host:port of the gRPC server.
        health_listen: host:port of a server for gRPC health alone, in the clear; empty: none.
        metrics_listen: host:port of the Prometheus endpoint; empty: none.
        log_level: debug, info, warning or error.
        default_timeout_s: Bound of a call whose caller gives none.
        stop_delay_s: For how long after SIGTERM calls are still taken, by a process that says it is
            not ready: as long as whoever sends them takes to see that.
        drain_s: Bound on finishing accepted calls after that.
        edge_secret: What the edge shows, so that its word on a client's address is taken; empty:
            the address of every caller is that of its connection.
        max_calls: Calls in hand, but for streams; beyond it they are shed as OVERLOADED.
        max_streams: Streams in hand, likewise.
        max_connection_calls: Calls of one connection: streams too, and those that were cancelled
            and are not done with. More wait with their client, or are refused to who does not wait.
        max_message_bytes: Of one request.
        strict_contract: Answer INTERNAL where a call fails with a reason that its proto does not
            state, for tests; else that is logged and counted.
        keys_file: Copy of the auth service's public keys, for a start while auth is away.
    """

    listen: str
    health_listen: str = ""
    metrics_listen: str = ""
    log_level: str = "info"
    default_timeout_s: float = 10.0
    stop_delay_s: Annotated[float, Field(ge=0)] = 0.0
    drain_s: float = 5.0
    edge_secret: SecretStr = SecretStr("")
    max_calls: Annotated[int, Field(ge=1)] = 10_000
    max_streams: Annotated[int, Field(ge=1)] = 20_000
    max_connection_calls: Annotated[int, Field(ge=100)] = 12_000
    max_message_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 20
    strict_contract: bool = False
    keys_file: Path | None = None


SettingsType = TypeVar("SettingsType", bound=BaseSettings)


def read_settings(kind: type[SettingsType]) -> SettingsType:
    """The settings of *kind*; exits with code 2 and one sentence a variable when some are unfit."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            prefix = kind.model_config.get("env_prefix", "")
            name = prefix + "_".join(str(part) for part in problem["loc"]).upper()
            what = "is not set" if problem["type"] == "missing" else f"is unfit: {problem['msg']}"
            if not problem["loc"]:
                name, what = "", problem["msg"].removeprefix("Value error, ")
            print(f"kuji: {name} {what}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
