"""The services of the protos, their RPCs, and the JSON routes of those."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass

import kuji
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.common.contract import FieldDescriptor

_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """
    The JSON face of an RPC.

    Args:
        rpc: What it leads to.
        verb: "get", "post", "put" or "delete".
        path: Its variables as {name}.
        has_body: Whether a body holds what the path does not; else the query does.
        unwrap: The field whose value is the answer; empty: the whole message.
    """

    rpc: MethodDescriptor
    verb: str
    path: str
    has_body: bool
    unwrap: str

    def __str__(self) -> str:
        return f"{self.verb.upper()} {self.path}"

    @property
    def in_path(self) -> list[FieldDescriptor]:
        """The fields that the path says."""
        return [self.rpc.input_type.fields_by_name[name] for name in _VARIABLE.findall(self.path)]

    @property
    def beside_path(self) -> list[FieldDescriptor]:
        """The fields that the body or the query says."""
        names = {field.name for field in self.in_path}
        return [field for field in self.rpc.input_type.fields if field.name not in names]


def all_services() -> list[ServiceDescriptor]:
    """Every service, by its full name."""
    return sorted(_services(), key=lambda service: str(service.full_name))


def _services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.walk_packages(kuji.__path__, "kuji."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            yield from file.services_by_name.values()


def all_rpcs() -> list[MethodDescriptor]:
    """Every RPC, in the order of the protos."""
    return [rpc for service in all_services() for rpc in service.methods]


def route_of(rpc: MethodDescriptor) -> Route | None:
    """The route of *rpc*; None where the edge has none."""
    options = rpc.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return None
    rule = options.Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    return Route(rpc, verb, getattr(rule, verb), rule.body == "*", rule.response_body)


def all_routes() -> list[Route]:
    """Every route, in the order of the protos."""
    return [route for rpc in all_rpcs() if (route := route_of(rpc)) is not None]
