"""The edge in a container: what Envoy reads, by the code that renders it for the embedded stack."""

from pathlib import Path

from services.common.settings import read_settings
from services.common.traces.settings import TraceSettings
from stack.edge.config import Edge, render
from stack.edge.settings import ContainerEdgeSettings
from stack.home import write_whole

# A container's /tmp is its own.
ADMIN_SOCKET = Path("/tmp/admin.sock")  # noqa: S108


def container_edge(settings: ContainerEdgeSettings) -> Edge:
    """The edge that *settings* describe."""
    return Edge(
        settings.edge_host,
        settings.edge_port,
        ADMIN_SOCKET,
        settings.upstreams,
        settings.edge_secret.get_secret_value(),
        settings.edge_trusted_hops,
        settings.edge_origins,
        settings.limits,
        status=settings.edge_status_listen,
        tls=settings.edge_tls,
        services_tls=settings.tls,
        traces=read_settings(TraceSettings),
        is_run_at_socket=False,
    )


def write_configuration(settings: ContainerEdgeSettings, folder: Path) -> None:
    """
    Write what Envoy reads into *folder*, where it finds it under the same name.

    Envoy's container may have another user, so everybody may read it; the folder is the pod's own.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, content in render(container_edge(settings), folder).items():
        write_whole(folder / name, content, 0o644)
