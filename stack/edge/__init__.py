"""The edge: Envoy, its configuration rendered from envoy/ and the protos."""

from stack.edge.config import EVERYBODY, Edge, envoy, render
from stack.edge.contract import CLUSTERS
from stack.edge.health import is_healthy_upstream, is_serving

__all__ = [
    "CLUSTERS",
    "EVERYBODY",
    "Edge",
    "envoy",
    "is_healthy_upstream",
    "is_serving",
    "render",
]
