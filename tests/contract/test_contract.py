"""The protos state the whole contract: each RPC, each field of a request, each reason."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import kuji
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.common.v1.contract_pb2 import Bounds
from kuji.common.v1.error_reason_pb2 import ErrorReason

from protos.examples import fill, text_of
from services.common import errors
from services.common.bounds import check
from services.common.contract import access_of, bounds_of, facts_of, reasons_of
from services.common.errors import KujiError
from services.common.server.rpc import Rpc
from services.common.server.serve import Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.status import error_info_of
from services.common.tokens import TokenVerifier


def _methods() -> Iterator[MethodDescriptor]:
    for module in pkgutil.walk_packages(kuji.__path__, "kuji."):
        if module.name.endswith("_pb2"):
            for service in importlib.import_module(
                module.name
            ).DESCRIPTOR.services_by_name.values():
                yield from service.methods


_E = ErrorReason
METHODS = list(_methods())


def _within(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    if message.full_name in seen or message.full_name.startswith("google."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield field
        if field.message_type is not None:
            yield from _within(field.message_type, seen)


SEEN: set[str] = set()
FIELDS = [field for method in METHODS for field in _within(method.input_type, SEEN)]


def _states_its_bounds(field: Any) -> bool:
    bounds = bounds_of(field) or Bounds()
    if field.is_repeated and not bounds.max_items:
        return False
    if field.message_type is not None or field.enum_type is not None:
        return True
    if field.cpp_type == field.CPPTYPE_STRING:
        return bool(bounds.max_length or bounds.one_of)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return True
    return bounds.any_number or bounds.HasField("min")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name)
def test_field_of_a_request_states_its_bounds(field: FieldDescriptor) -> None:
    """Nothing unbounded comes from a stranger: texts, lists and numbers say what they may be."""
    assert _states_its_bounds(field)


@pytest.mark.parametrize(
    "field",
    [field for field in FIELDS if (bounds_of(field) or Bounds()).pattern],
    ids=lambda field: field.full_name,
)
def test_pattern_is_told_in_words_and_by_an_example(field: FieldDescriptor) -> None:
    """Whoever does not fit it is told what would."""
    bounds = bounds_of(field)
    assert bounds is not None
    assert bounds.form
    assert re.fullmatch(bounds.pattern, text_of(field, bounds))
    assert bounds.pattern.startswith("^")
    assert bounds.pattern.endswith("$")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
@pytest.mark.parametrize("whole", [False, True], ids=["least", "whole"])
def test_request_that_follows_the_contract_is_taken(method: MethodDescriptor, whole: bool) -> None:
    """What a client makes of the protos, and nothing else, is within the bounds."""
    check(fill(message_factory.GetMessageClass(method.input_type)(), whole=whole))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_rpc_states_its_access_and_its_reasons(method: MethodDescriptor) -> None:
    """Each may be INTERNAL and UNAVAILABLE; each that needs a token may lack it."""
    names = {
        ErrorReason.Name(reason).removeprefix("ERROR_REASON_") for reason in reasons_of(method)
    }
    assert {"INVALID_ARGUMENT", "INTERNAL", "UNAVAILABLE", "OVERLOADED"} <= names
    assert access_of(method) == 1 or "UNAUTHENTICATED" in names


def test_each_reason_is_one_that_some_rpc_states() -> None:
    """A reason that nobody gives is taken out; those of the edge alone are these."""
    stated = {reason for method in METHODS for reason in reasons_of(method)}
    of_the_edge = {
        reason for reason in ErrorReason.values() if reason and facts_of(reason).edge_only
    } | {ErrorReason.ERROR_REASON_RATE_LIMITED}
    assert set(ErrorReason.values()) - {0} <= stated | of_the_edge


@pytest.mark.parametrize("reason", [r for r in ErrorReason.values() if r], ids=ErrorReason.Name)
def test_reason_states_its_facts(reason: ErrorReason.ValueType) -> None:
    """Its status, its HTTP code and what a caller does about it."""
    facts = facts_of(reason)
    assert facts.code
    assert 400 <= facts.http < 600
    assert facts.action


class _Raising:
    """A servicer whose every RPC raises *error*."""

    def __init__(self, error: KujiError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any) -> None:
            raise self._error

        return call


async def _reason_told(error: KujiError, *, strict: bool) -> str:
    """The reason that a client of Login gets where it raises *error*."""
    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
    settings = ServiceSettings(listen="127.0.0.1:0", strict_contract=strict)

    async def no_keys() -> dict[str, Any]:
        return {"keys": []}

    served = [Implementation(_Raising(error), service)]
    server, port, _ = build_server(served, TokenVerifier(no_keys), settings)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth_pb2_grpc.AuthServiceStub(channel).Login(auth_pb2.LoginRequest())
    await server.stop(0)
    info = error_info_of(caught.value)
    assert info is not None
    return str(info.reason)


async def test_reason_that_is_not_stated_is_a_defect_in_tests() -> None:
    """So that the protos stay true; where people are served, they get the reason all the same."""
    assert "BAD_CREDENTIALS" == await _reason_told(errors.BadCredentialsError(), strict=True)
    assert "INTERNAL" == await _reason_told(errors.ConflictError(), strict=True)
    assert "CONFLICT" == await _reason_told(errors.ConflictError(), strict=False)


def test_tests_are_strict() -> None:
    """Servers that tests start refuse what is not stated."""
    assert ServiceSettings(listen="").strict_contract


def test_server_refuses_a_field_without_bounds() -> None:
    """A forgotten one stops the process at start, by the field's name."""
    reflection = importlib.import_module("grpc_reflection.v1alpha.reflection_pb2").DESCRIPTOR
    method = reflection.services_by_name["ServerReflection"].methods[0]
    described = SimpleNamespace(
        name="Any",
        GetOptions=METHODS[0].GetOptions,
        input_type=method.input_type,
        containing_service=method.containing_service,
        client_streaming=False,
        server_streaming=False,
    )
    with pytest.raises(ValueError, match=r"ServerReflectionRequest\.host does not say how long"):
        Rpc(None, described, SimpleNamespace(calls=None), strict=False)  # type: ignore[arg-type]
