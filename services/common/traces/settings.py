"""What OpenTelemetry's own variables say; the exporter reads the others of its own by itself."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


def _checked_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if url and not (parts.scheme in ("http", "https") and parts.hostname and parts.port):
        raise ValueError("an address like http://collector:4317 is needed")
    return url


def _checked_sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError(f"one of {', '.join(SAMPLERS)} is needed")
    return name


class TraceSettings(BaseSettings):
    """
    Settings of traces, of every process and the edge.

    Args:
        exporter_otlp_endpoint: Where traces go, by OTLP over gRPC, such as "http://collector:4317";
            https: with TLS. Empty: there are none.
        exporter_otlp_protocol: Nothing else is spoken.
        exporter_otlp_certificate: File of the authorities that a collector with TLS may have its
            certificate from; empty: those that the machine knows.
        traces_sampler: Which traces go there, failures aside: always_on, always_off, traceidratio,
            parentbased_always_on, parentbased_always_off or parentbased_traceidratio.
        traces_sampler_arg: Of those with a ratio, the share, from 0 to 1.
        service_name: What a process calls itself; empty: by its part, such as "kuji-draw".
        sdk_disabled: Whether there are none, whatever the others say.
    """

    model_config = SettingsConfigDict(
        env_prefix="OTEL_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    exporter_otlp_endpoint: Annotated[str, AfterValidator(_checked_endpoint)] = ""
    exporter_otlp_protocol: Literal["grpc"] = "grpc"
    exporter_otlp_certificate: str = ""
    traces_sampler: Annotated[str, AfterValidator(_checked_sampler)] = "parentbased_always_on"
    traces_sampler_arg: float = Field(default=1.0, ge=0, le=1)
    service_name: str = ""
    sdk_disabled: bool = False

    @property
    def is_on(self) -> bool:
        """Whether there are traces."""
        return bool(self.exporter_otlp_endpoint) and not self.sdk_disabled

    @property
    def ratio(self) -> float:
        """The share of traces that begin here which are sampled."""
        if self.traces_sampler.endswith("traceidratio"):
            return self.traces_sampler_arg
        return float(self.traces_sampler.endswith("always_on"))

    @property
    def follows_parent(self) -> bool:
        """Whether a trace that began elsewhere is sampled as it was there."""
        return self.traces_sampler.startswith("parentbased_")
