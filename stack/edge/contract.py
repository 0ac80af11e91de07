"""What the edge takes from the protos: its routes, who may call them, what they take and give."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import kuji
from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from kuji.common.v1.access_pb2 import Access

from services.common.contract import access_of, events_of

CLUSTERS = ("auth", "draw", "admin", "history")
_MOST_CALLED = ("draw", "history", "auth", "admin")
# A package is served by the processes that it is named after; these by others.
_CLUSTER_OF_SERVICE = {
    "kuji.blindbox.v1.BlindBoxService": "draw",
    "kuji.blindbox.v1.BlindBoxRecordService": "history",
}

_VARIABLE = re.compile(r"\{(\w+)\}")
_HTTP_BODY = "google.api.HttpBody"


@dataclass(frozen=True)
class Route:
    """
    One HTTP binding of an RPC.

    Args:
        rpc: What it leads to.
        verb: GET, HEAD, POST, PUT or DELETE.
        template: Its path, a variable as {name}.
        takes_body: Whether a body holds the rest of the request.
        unwrap: The field whose value is the answer; empty: the whole message.
    """

    rpc: MethodDescriptor
    verb: str
    template: str
    takes_body: bool
    unwrap: str

    @property
    def name(self) -> str:
        """Its own: the RPC's full name, and HEAD where it is that."""
        return f"{self.rpc.full_name} HEAD" if self.verb == "HEAD" else str(self.rpc.full_name)

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.verb in ("GET", "HEAD")

    @property
    def access(self) -> int:
        """Who may call it."""
        return access_of(self.rpc)

    @property
    def cluster(self) -> str:
        """Which processes serve it."""
        return cluster_of(self.rpc.containing_service)

    @property
    def is_bytes(self) -> bool:
        """Whether its answer is bytes of some kind, such as CSV."""
        return self.rpc.output_type.full_name == _HTTP_BODY

    @property
    def is_events(self) -> bool:
        """Whether its answer is Server-Sent Events."""
        return events_of(self.rpc) is not None

    @property
    def is_plain(self) -> bool:
        """Whether its answer is no JSON message: bytes, or a stream of events."""
        return self.rpc.server_streaming or self.is_bytes

    @property
    def takes_credentials(self) -> bool:
        """Whether it is guarded against guessing: what anybody may write."""
        return self.access == Access.ACCESS_PUBLIC and not self.is_read

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The fields that the path says."""
        return tuple(_VARIABLE.findall(self.template))

    @cached_property
    def pattern(self) -> str:
        """The path as a regular expression; itself where it has no variables."""
        parts = _VARIABLE.split(self.template)
        return "[^/]+".join(re.escape(part) for part in parts[::2])

    def variable_pattern(self, wanted: str) -> str:
        """A Lua pattern that captures variable *wanted* of a path."""
        parts = _VARIABLE.split(self.template)
        literals, names = parts[::2], [*parts[1::2], ""]
        texts = [re.sub(r"([^\w/])", r"%\1", text) for text in literals]
        holes = ["([^/]+)" if name == wanted else "[^/]+" if name else "" for name in names]
        return "^" + "".join(map("".join, zip(texts, holes, strict=True))) + "$"

    @property
    def message(self) -> Descriptor:
        """The request."""
        return self.rpc.input_type


def cluster_of(service: ServiceDescriptor) -> str:
    """Which processes serve *service*."""
    return _CLUSTER_OF_SERVICE.get(service.full_name) or str(service.file.package.split(".")[1])


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the protos, by its name."""
    found: dict[str, ServiceDescriptor] = {}
    for module in pkgutil.walk_packages(kuji.__path__, "kuji."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            found |= {service.full_name: service for service in file.services_by_name.values()}
    return iter(found[name] for name in sorted(found))


def _rule_of(rpc: MethodDescriptor) -> http_pb2.HttpRule | None:
    options = rpc.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return None
    rule: http_pb2.HttpRule = options.Extensions[annotations_pb2.http]
    return rule


def _routes_of(rpc: MethodDescriptor) -> Iterator[Route]:
    rule = _rule_of(rpc)
    if rule is None:
        return
    verb = str(rule.WhichOneof("pattern"))
    if rule.additional_bindings or rule.body not in ("", "*"):
        raise ValueError(f"the edge does not know how {rpc.full_name} is bound")
    for own in ("GET", "HEAD") if verb == "get" else (verb.upper(),):
        yield Route(rpc, own, getattr(rule, verb), rule.body == "*", rule.response_body)


def routes(among: Iterable[ServiceDescriptor] | None = None) -> list[Route]:
    """
    Every route of the edge, those of a path together, paths without variables first.

    Envoy takes the first that fits, one after the other, so what is called most comes first.
    """
    rpcs = [rpc for service in among or services() for rpc in service.methods]
    found = [route for rpc in rpcs for route in _routes_of(rpc)]
    places: dict[str, int] = {}
    for route in found:
        place = _MOST_CALLED.index(route.cluster)
        places[route.template] = min(place, places.get(route.template, place))

    def order(route: Route) -> tuple[bool, int, str, str]:
        return bool(route.variables), places[route.template], route.template, route.verb

    return sorted(found, key=order)
