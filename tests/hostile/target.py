"""A running stack that strangers try: its addresses, its tokens, its memory, what is open there."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.common.v1.access_pb2 import Access

from services.common.contract import access_of
from services.common.status import error_info_of
from stack.edge.contract import cluster_of
from tests.support.edge import caller, log_in_admin, register
from tests.support.shop import open_shop
from tests.support.stacks import StackUnderTest

_CALL_S = 20.0
_ROLES = {
    Access.ACCESS_USER: "user",
    Access.ACCESS_VIEWER: "admin",
    Access.ACCESS_OPERATOR: "admin",
    Access.ACCESS_ADMIN: "admin",
    Access.ACCESS_SERVICE: "service",
    Access.ACCESS_SERVICE_OR_ADMIN: "service",
}


@dataclass(frozen=True)
class Target:
    """
    What strangers find.

    Args:
        tokens: By role.
        known: By name of a request's field: values of it that name something.
        activity_id: One that is open, with units enough for everybody.
    """

    stack: StackUnderTest
    http: httpx.AsyncClient
    channels: Mapping[str, grpc.aio.Channel]
    tokens: Mapping[str, str]
    known: Mapping[str, list[Any]]
    activity_id: int

    def token_for(self, rpc: MethodDescriptor) -> str:
        """One that *rpc* admits; "" where it needs none."""
        role = _ROLES.get(access_of(rpc))  # type: ignore[call-overload]
        return self.tokens[role] if role else ""

    async def told(self, rpc: MethodDescriptor, request: Message | bytes) -> str:
        """OK, the reason of a refusal, or "bare" and what came in place of one."""
        content = request if isinstance(request, bytes) else request.SerializeToString()
        token = self.token_for(rpc)
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            async with asyncio.timeout(_CALL_S):
                await self._call(rpc, content, metadata)
        except grpc.aio.AioRpcError as error:
            info = error_info_of(error)
            return info.reason if info else f"bare {error.code()}: {error.details()}"
        return "OK"

    async def _call(self, rpc: MethodDescriptor, content: bytes, metadata: Any) -> None:
        """Call; of a stream that does not end by itself, one answer is enough."""
        channel: Any = self.channels[cluster_of(rpc.containing_service)]
        path = f"/{rpc.containing_service.full_name}/{rpc.name}"
        read = GetMessageClass(rpc.output_type).FromString
        given: dict[str, Any] = {"request_serializer": None, "response_deserializer": read}
        if not rpc.server_streaming:
            await channel.unary_unary(path, **given)(content, metadata=metadata, timeout=_CALL_S)
            return
        if rpc.client_streaming:
            answers: Any = channel.stream_stream(path, **given)(metadata=metadata)
            await answers.write(content)
            await answers.done_writing()
        else:
            answers = channel.unary_stream(path, **given)(content, metadata=metadata)
        try:
            async with asyncio.timeout(1):
                while await answers.read():
                    pass
        except TimeoutError:
            answers.cancel()

    def memory(self) -> dict[str, int]:
        """Bytes that each part keeps in memory."""
        return {name: resident(pid) for name, pid in self.stack.pids().items()}


def resident(pid: int) -> int:
    """Bytes that a process keeps in memory."""
    return _status_of(pid, "RssAnon")


def most_resident(pid: int) -> int:
    """Bytes that a process had in memory at most, files among it, since forget_most()."""
    return _status_of(pid, "VmHWM")


def forget_most(pid: int) -> None:
    """See most_resident()."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status_of(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


@asynccontextmanager
async def open_target(stack: StackUnderTest) -> AsyncIterator[Target]:
    """*stack*, with an open activity and open boxes."""
    async with AsyncExitStack() as opened:
        enter = opened.enter_async_context
        http = await enter(httpx.AsyncClient(base_url=stack.edge, timeout=_CALL_S))
        channels = {
            name: await enter(grpc.aio.insecure_channel(address))
            for name, address in stack.grpc.items()
        }
        admin_token = await log_in_admin(http, stack.admin)
        admin, session = caller(http, admin_token), await register(http)
        activity_id, prize_id = await _open_activity(admin)
        shop = await open_shop(http, admin_token, "infinite", {"weight": 100}, {"weight": 300})
        tokens = {
            "admin": admin_token,
            "user": session["access_token"],
            "service": await _service_token(stack, channels["auth"]),
        }
        known: dict[str, list[Any]] = {
            "activity_id": [activity_id],
            "prize_id": [prize_id],
            "goods_id": [shop.goods_id],
            "user_id": [int(session["user_id"]), shop.user_id],
            "shang_id": list(shop.shangs),
            "goods_item_id": list(shop.items),
            "item_card_id": await shop.cards(3),
            "num": [1],
        }
        yield Target(stack, http, channels, tokens, known, activity_id)


async def _open_activity(admin: Any) -> tuple[int, int]:
    activity = await admin("POST", "/admin/api/activities", json={"name": "Spring"})
    activity_id = int(activity["activity_id"])
    prize = {
        "activity_id": activity_id,
        "name": "Bear",
        "total_count": 1_000_000_000,
        "probability": 0.5,
        "is_enabled": True,
    }
    made = await admin("POST", "/admin/api/prizes", json=prize)
    await admin("PUT", f"/admin/api/activities/{activity_id}", json={"status": "ongoing"})
    return activity_id, int(made["prize_id"])


async def _service_token(stack: StackUnderTest, channel: grpc.aio.Channel) -> str:
    secrets = json.loads((stack.home / "secrets.json").read_text())
    request = auth_pb2.IssueServiceTokenRequest(
        service="shop", secret=secrets["KUJI_SERVICE_SECRET"]
    )
    stub: Any = auth_pb2_grpc.AuthServiceStub(channel)
    return str((await stub.IssueServiceToken(request, timeout=_CALL_S)).access_token)
