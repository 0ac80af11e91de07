"""Who may call what: stated by every RPC, enforced by the server."""

import base64
import importlib
import pkgutil
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import jwt
import kuji
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from kuji.auth.v1 import auth_pb2

from protos.examples import fill
from services.common.context import RequestContext
from services.common.keyset import Jwks
from services.common.server.serve import Front, Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.tokens import TokenVerifier
from tests.support.access import CALLERS, EXPIRED, NOBODY, OK, row

KEY = Ed25519PrivateKey.generate()


def _services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.walk_packages(kuji.__path__, "kuji."):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(module.name).DESCRIPTOR
            yield from descriptor.services_by_name.values()


SERVICES = list(_services())
METHODS = [method for service in SERVICES for method in service.methods]
_STATUS = {
    OK: grpc.StatusCode.OK,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
}


class Answering:
    """A servicer that answers every RPC of *service*, and remembers its caller."""

    def __init__(self, service: ServiceDescriptor, seen: SimpleNamespace) -> None:
        self._service = service
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        method = self._service.methods_by_name[name]
        answer = message_factory.GetMessageClass(method.output_type)()

        async def unary(_: Any, ctx: RequestContext) -> Any:
            self._seen.caller = ctx.caller
            return answer

        async def stream(_: Any, ctx: RequestContext) -> AsyncIterator[Any]:
            self._seen.caller = ctx.caller
            yield answer

        return stream if method.server_streaming else unary


async def _fetch_jwks() -> Jwks:
    x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "alg": "EdDSA"}]}


def _metadata(role: str, **changes: Any) -> tuple[tuple[str, str], ...]:
    claims = {"iss": "kuji", "aud": "kuji", "sub": "7", "name": "alice", "role": role}
    claims |= {"exp": int(time.time()) + 600} | changes
    token = jwt.encode(claims, KEY, "EdDSA", headers={"kid": "one"})
    return (("authorization", f"Bearer {token}"),)


def _metadata_of(caller: str) -> tuple[tuple[str, str], ...]:
    if caller == NOBODY:
        return ()
    return _metadata("admin", exp=1) if caller == EXPIRED else _metadata(caller)


@pytest.fixture(scope="module")
def seen() -> SimpleNamespace:
    """The caller of the last call admitted."""
    return SimpleNamespace(caller=None)


@pytest.fixture(scope="module", params=Front)
async def channel(
    seen: SimpleNamespace, request: pytest.FixtureRequest
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server of every service, each RPC answering with nothing."""
    services = [Implementation(Answering(service, seen), service) for service in SERVICES]
    settings = ServiceSettings(listen="127.0.0.1:0")
    server, port, _ = build_server(services, TokenVerifier(_fetch_jwks), settings, request.param)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def _status_of(
    channel: grpc.aio.Channel, method: MethodDescriptor, metadata: Any
) -> grpc.StatusCode:
    make = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    rpc: Any = make(f"/{method.containing_service.full_name}/{method.name}", bytes, bytes)
    request = fill(message_factory.GetMessageClass(method.input_type)()).SerializeToString()
    # No message of a stream is sent: one that finds the call ended is INTERNAL, by grpc's client.
    requests = [] if method.client_streaming else [request]
    call = rpc(*requests, metadata=metadata, timeout=10)
    try:
        await (call.read() if method.server_streaming else call)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_services_are_found() -> None:
    """The walk over the stubs finds the four services and their pools' one at least."""
    names = {service.name for service in SERVICES}
    assert {"AuthService", "DrawService", "PoolService", "AdminService"} <= names


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
async def test_rpc_admits_the_roles_of_its_access_alone(
    method: MethodDescriptor, channel: grpc.aio.Channel
) -> None:
    """A row of the table: no good token where one is needed, a wrong role, or the answer."""
    found = {caller: await _status_of(channel, method, _metadata_of(caller)) for caller in CALLERS}
    assert {caller: _STATUS[said] for caller, said in row(method).items()} == found


@pytest.mark.parametrize(
    "metadata",
    [
        _metadata("user", exp=1),
        _metadata("user", aud="others"),
        (("authorization", "Bearer noise"),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic YTpi"),),
    ],
)
async def test_bad_token_is_no_token(
    metadata: Any, channel: grpc.aio.Channel, seen: SimpleNamespace
) -> None:
    """It opens nothing that needs one, and keeps nobody from what is public."""
    methods = auth_pb2.DESCRIPTOR.services_by_name["AuthService"].methods_by_name
    refused = await _status_of(channel, methods["GetProfile"], metadata)
    assert refused == grpc.StatusCode.UNAUTHENTICATED
    seen.caller = "nobody yet"
    assert await _status_of(channel, methods["Refresh"], metadata) == grpc.StatusCode.OK
    assert seen.caller is None


async def test_server_refuses_an_rpc_without_access() -> None:
    """A forgotten access option stops the process at start, by the RPC's name."""
    reflection = importlib.import_module("grpc_reflection.v1alpha.reflection_pb2").DESCRIPTOR
    service = reflection.services_by_name["ServerReflection"]
    settings = ServiceSettings(listen="127.0.0.1:0")
    implementation = Implementation(Answering(service, SimpleNamespace()), service)
    with pytest.raises(ValueError, match="ServerReflectionInfo does not say who may call it"):
        build_server([implementation], TokenVerifier(_fetch_jwks), settings)
