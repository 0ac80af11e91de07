"""What Envoy says of itself and of what is behind it."""

from stack.edge.config import Edge
from stack.probes import UNREACHABLE, http_get_from_socket, serves_http


async def is_healthy_upstream(edge: Edge, address: str) -> bool:
    """Whether Envoy's gRPC health check of the process at *address* passes."""
    try:
        _, body = await http_get_from_socket(edge.admin_socket, "/clusters")
    except UNREACHABLE:
        return False
    # The same process may be in several clusters, not all of which check its health.
    flags = [line for line in body.splitlines() if f"::{address}::health_flags::" in line]
    return bool(flags) and all(line.endswith("::healthy") for line in flags)


async def is_serving(edge: Edge) -> bool:
    """Whether every service is healthy behind the edge, and the edge knows the tokens' keys."""
    certificate = edge.tls.cert if edge.tls else None
    if not await serves_http(f"{edge.url}/healthz", certificate):
        return False
    try:
        _, body = await http_get_from_socket(edge.admin_socket, "/stats?filter=jwks_fetch_success")
    except UNREACHABLE:
        return False
    return any(int(line.rpartition(" ")[2]) > 0 for line in body.splitlines())
