"""What the edge is told, wherever it runs."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.common.settings import TlsSettings
from stack.edge.limits import Limit, Limits
from stack.edge.tls import CertFiles

_ORIGIN = re.compile(r"https?://[^/,\s]+|\*")
_ADDRESS = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")


def _origins_of(text: object) -> object:
    if not isinstance(text, str):
        return text
    found = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; https://shop.example is one")
    return ("*",) if "*" in found else found


def _is_address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if text and not (found and 0 < int(found[2]) < 65536):
        raise ValueError(f"{text!r} is no host:port")
    return text


Calls = Annotated[int, Field(ge=1, le=1_000_000)]
Address = Annotated[str, AfterValidator(_is_address)]


class EdgeSettings(TlsSettings):
    """
    Settings of every edge; see TlsSettings: what it shows to the services. Besides:

    Args:
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
        edge_status_listen: host:port on which Envoy says whether it is ready (/ready), and its
            metrics (/stats/prometheus); empty: nowhere.
        edge_tls_cert_file: The edge's certificate for its clients: PEM, its own first; then they
            come by https. It is read again when it is replaced by renaming.
        edge_tls_key_file: The key of that, in the same folder.
    """

    model_config = SettingsConfigDict(
        env_prefix="KUJI_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    edge_trusted_hops: int = Field(default=0, ge=0, le=16)
    edge_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins_of)] = ("*",)
    edge_address_per_s: Calls = 10_000
    edge_address_burst: Calls = 20_000
    edge_login_per_s: Calls = 50
    edge_login_burst: Calls = 3_000
    edge_user_per_s: Calls = 5_000
    edge_user_burst: Calls = 10_000
    edge_status_listen: Address = ""
    edge_tls_cert_file: Path | None = None
    edge_tls_key_file: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.edge_tls_cert_file is None) != (self.edge_tls_key_file is None):
            raise ValueError("KUJI_EDGE_TLS_CERT_FILE and KUJI_EDGE_TLS_KEY_FILE go together")
        return self

    @property
    def edge_tls(self) -> CertFiles | None:
        """Its certificate for its clients; None: they come by http."""
        if self.edge_tls_cert_file is None or self.edge_tls_key_file is None:
            return None
        return CertFiles(self.edge_tls_cert_file, self.edge_tls_key_file)

    @property
    def limits(self) -> Limits:
        """What it takes of one address and of one user."""
        return Limits(
            address=Limit(self.edge_address_per_s, self.edge_address_burst),
            credentials=Limit(self.edge_login_per_s, self.edge_login_burst),
            user=Limit(self.edge_user_per_s, self.edge_user_burst),
        )


class ContainerEdgeSettings(EdgeSettings):
    """
    Settings of an edge in a container; see EdgeSettings. Besides:

    Args:
        edge_host: Address that it listens on.
        edge_port: Port that it listens on.
        edge_secret: What it shows the services, so that they take its word on a client's address.
        edge_auth_address: host:port of the auth service. Where the host is a name, calls go to
            every address that DNS gives for it, now and later.
        edge_draw_address: Likewise of the draw service.
        edge_admin_address: Likewise of the admin service.
        edge_history_address: Likewise of the history service.
    """

    edge_host: str = "0.0.0.0"  # noqa: S104  # in a container of its own
    edge_port: int = Field(default=8080, ge=1, le=65535)
    edge_secret: SecretStr
    edge_auth_address: Address
    edge_draw_address: Address
    edge_admin_address: Address
    edge_history_address: Address
    edge_status_listen: Address = "0.0.0.0:9901"

    @property
    def upstreams(self) -> dict[str, list[str]]:
        """host:port by service."""
        return {
            "auth": [self.edge_auth_address],
            "draw": [self.edge_draw_address],
            "admin": [self.edge_admin_address],
            "history": [self.edge_history_address],
        }
