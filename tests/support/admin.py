"""A running admin service between a real Postgres and live pools that a test controls."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api import httpbody_pb2
from google.protobuf.json_format import MessageToJson
from kuji.admin.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    approvals_pb2,
    approvals_pb2_grpc,
    goods_pb2,
    goods_pb2_grpc,
    prize_codes_pb2,
    prize_codes_pb2_grpc,
    simulations_pb2,
    simulations_pb2_grpc,
)
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.draw.v1 import pool_pb2

from services.admin.assembly import open_admin
from services.admin.finisher import Finisher
from services.admin.settings import AdminSettings
from services.common.errors import BadCredentialsError
from services.common.server.serve import Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.status import details_of, error_info_of, status_of
from services.common.tokens import AUDIENCE, ISSUER, TokenVerifier, fetch_jwks_from
from tests.support.live_pools import FakePools

SECRET = "the service secret of this test"


class FakeAuth(auth_pb2_grpc.AuthServiceServicer):
    """Signs tokens with a key of its own; counts the service tokens it gave."""

    def __init__(self) -> None:
        self.service_tokens = 0
        self.expires_in = 3600
        self.rotate_key()

    def rotate_key(self) -> None:
        """Sign with a new key from now on; the old one is no longer known."""
        self._key = Ed25519PrivateKey.generate()
        self._kid = f"key-{time.monotonic_ns()}"

    def token(self, user_id: int, name: str, role: str) -> str:
        """An access token, good for an hour."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(user_id), "name": name, "role": role}
        return jwt.encode(
            {**claims, "iat": now, "exp": now + 3600, "jti": str(time.monotonic_ns())},
            self._key,
            "EdDSA",
            {"kid": self._kid},
        )

    async def IssueServiceToken(  # noqa: N802
        self,
        request: auth_pb2.IssueServiceTokenRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> auth_pb2.IssueServiceTokenResponse:
        """A token for whoever knows the secret."""
        if request.secret != SECRET:
            error = BadCredentialsError()
            trailer = (("grpc-status-details-bin", details_of(error)),)
            await context.abort(status_of(error), error.message, trailer)
        self.service_tokens += 1
        return auth_pb2.IssueServiceTokenResponse(
            access_token=self.token(0, request.service, "service"), expires_in=self.expires_in
        )

    async def GetJwks(  # noqa: N802
        self, request: auth_pb2.GetJwksRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> httpbody_pb2.HttpBody:
        """The public half of the one key."""
        jwk = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        keys = {"keys": [{**jwk, "kid": self._kid, "alg": "EdDSA", "use": "sig"}]}
        data = json.dumps(keys).encode()
        return httpbody_pb2.HttpBody(content_type="application/json", data=data)


class Caller:
    """A client of the admin service with one person's token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._stubs = {
            admin_pb2.DESCRIPTOR: admin_pb2_grpc.AdminServiceStub(channel),
            approvals_pb2.DESCRIPTOR: approvals_pb2_grpc.ApprovalServiceStub(channel),
            goods_pb2.DESCRIPTOR: goods_pb2_grpc.GoodsServiceStub(channel),
            prize_codes_pb2.DESCRIPTOR: prize_codes_pb2_grpc.PrizeCodeServiceStub(channel),
            simulations_pb2.DESCRIPTOR: simulations_pb2_grpc.SimulationServiceStub(channel),
        }
        self._metadata = [] if token is None else [("authorization", f"Bearer {token}")]

    async def __call__(self, request: Any, timeout: float = 8) -> Any:
        """Send *request* to the method that its type names; grpc.aio.AioRpcError on failure."""
        method = self._method(request)
        return await method(request, timeout=timeout, metadata=self._metadata)

    async def read(self, request: Any) -> list[Any]:
        """All that the stream of *request*'s method gives; grpc.aio.AioRpcError on failure."""
        return [message async for message in self.listen(request)]

    def listen(self, request: Any) -> Any:
        """The stream itself; what gives way to others may take its time on a busy machine."""
        return self._method(request)(request, timeout=100, metadata=self._metadata)

    def _method(self, request: Any) -> Any:
        stub = self._stubs[request.DESCRIPTOR.file]
        return getattr(stub, type(request).__name__.removesuffix("Request"))


@dataclass
class Operator:
    """
    Somebody who runs lotteries and sells boxes.

    Args:
        admin: A caller with the admin role.
    """

    admin: Caller

    async def activity(self, **fields: Any) -> admin_pb2.Activity:
        """A new activity, ongoing unless told otherwise."""
        status = {} if "start_time" in fields else {"status": "ongoing"}
        request = admin_pb2.CreateActivityRequest(**{"name": "Spring", **status, **fields})
        response: admin_pb2.CreateActivityResponse = await self.admin(request)
        return response.activity

    async def prize(self, activity_id: int, **fields: Any) -> admin_pb2.Prize:
        """A new prize: 5 units at 0.1 unless told otherwise."""
        given = {"name": "Bear", "total_count": 5, "probability": 0.1, **fields}
        response: admin_pb2.CreatePrizeResponse = await self.admin(
            admin_pb2.CreatePrizeRequest(activity_id=activity_id, **given)
        )
        return response.prize

    async def goods(self, **fields: Any) -> goods_pb2.Goods:
        """New goods on the shelf, ichiban unless told otherwise."""
        given = {"title": "Spring box", "type": "ichiban", "price": "9.90", **fields}
        response: goods_pb2.CreateGoodsResponse = await self.admin(
            goods_pb2.CreateGoodsRequest(**given)
        )
        return response.goods

    async def shang(self, goods_id: int, **fields: Any) -> goods_pb2.Shang:
        """A new level, "A" unless told otherwise."""
        request = goods_pb2.CreateShangRequest(goods_id=goods_id, **{"title": "A", **fields})
        response: goods_pb2.CreateShangResponse = await self.admin(request)
        return response.shang

    async def item(self, shang: goods_pb2.Shang, **fields: Any) -> goods_pb2.GoodsItem:
        """A new item of this level."""
        given = {"title": "Mug", "goods_id": shang.goods_id, "shang_id": shang.shang_id, **fields}
        response: goods_pb2.CreateGoodsItemResponse = await self.admin(
            goods_pb2.CreateGoodsItemRequest(**given)
        )
        return response.item

    async def open(self, goods_id: int, count: int = 1) -> list[int]:
        """The numbers of as many further boxes."""
        request = goods_pb2.OpenBoxesRequest(goods_id=goods_id, count=count)
        response: goods_pb2.OpenBoxesResponse = await self.admin(request)
        return list(response.nums)

    async def boxed(self, count: int = 1, stock: int = 5, **fields: Any) -> goods_pb2.Goods:
        """Goods with one item of *stock* units, and *count* boxes."""
        goods = await self.goods(**fields)
        await self.item(await self.shang(goods.goods_id), stock=stock)
        await self.open(goods.goods_id, count)
        return goods


@dataclass
class World(Operator):
    """
    The admin service, running.

    Args:
        admin: A caller with the admin role, named "boss".
        pools: The live pools.
        auth: The auth service.
        postgres: This test's database.
        channel: To the admin service.
        finisher: Its background task, which a test runs itself.
        variables: What a process of its own is told, but for its port.
    """

    pools: FakePools
    auth: FakeAuth
    postgres: asyncpg.Pool
    channel: grpc.aio.Channel
    finisher: Finisher
    variables: dict[str, str]

    async def record(self, pool_id: int, prize_id: int = 0, count: int = 1) -> None:
        """Bring *count* draws that won *prize_id*, or missed (0), into Postgres' counters."""
        wins = count if prize_id else 0
        async with self.postgres.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE pools SET draws = draws + $2, wins = wins + $3, "
                "unique_users = unique_users + $2, recorded_seq = recorded_seq + $2 WHERE id = $1",
                pool_id,
                count,
                wins,
            )
            await connection.execute(
                "UPDATE prizes SET won_count = won_count + $2 WHERE id = $1", prize_id, wins
            )

    async def record_config(self, pool_id: int, config: pool_pb2.PoolConfig) -> None:
        """Bring *config* into Postgres, as the newest that the recorder has seen."""
        await self.postgres.execute(
            "INSERT INTO pool_versions"
            " (pool_id, version, after_seq, config, units, changed_at, link)"
            " SELECT id, version, 0, CAST($2 AS json), '[]', now(), '' FROM pools WHERE id = $1",
            pool_id,
            MessageToJson(config, preserving_proto_field_name=True),
        )

    async def user(self, name: str) -> int:
        """A new user's id."""
        user_id: int = await self.postgres.fetchval(
            "INSERT INTO users (username, password_hash) VALUES ($1, '') RETURNING id", name
        )
        return user_id

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows that a change may touch."""
        tables = (
            *("pools", "activities", "prizes", "prize_claims", "blocks", "audit_log"),
            *("goods", "shangs", "goods_items", "boxes", "item_cards"),
        )
        return {
            table: [tuple(row) for row in await self.postgres.fetch(f"TABLE {table}")]
            for table in tables
        }


async def failure(call: Any) -> tuple[str, dict[str, str]]:
    """Reason and metadata of the call that is expected to fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info_of(caught.value)
    assert info is not None, caught.value
    return info.reason, dict(info.metadata)


async def settled_or_waiting(world: World, task: asyncio.Task[Any]) -> None:
    """Return once *task* is done, or a session of this database waits for another's lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(5):
        while not task.done() and not await world.postgres.fetchval(query):
            pass


@asynccontextmanager
async def auth_server(auth: FakeAuth) -> AsyncIterator[str]:
    """*auth*, listening; its host:port."""
    server = grpc.aio.server()
    auth_pb2_grpc.add_AuthServiceServicer_to_server(auth, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def _server(
    services: Sequence[Implementation], verifier: TokenVerifier
) -> AsyncIterator[str]:
    server, port, _ = build_server(services, verifier, ServiceSettings(listen="127.0.0.1:0"))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def admin_process(**settings: Any) -> AsyncIterator[tuple[grpc.aio.Channel, Finisher]]:
    """An admin service in this process: a channel to it, and its background task, not running."""
    read = AdminSettings(**{"listen": "127.0.0.1:0", "service_secret": SECRET, **settings})
    async with (
        open_admin(read) as admin,
        _server(admin.services, admin.verifier) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel, admin.finisher


@asynccontextmanager
async def open_world(postgres: asyncpg.Pool, dsn: str, **settings: Any) -> AsyncIterator[World]:
    """An admin service over the database at *dsn*, with *settings* other than the defaults."""
    auth = FakeAuth()  # type: ignore[abstract]  # the methods that admin calls
    pools = FakePools()
    pool_service = pool_pb2.DESCRIPTOR.services_by_name["PoolService"]
    async with (
        auth_server(auth) as auth_address,
        grpc.aio.insecure_channel(auth_address) as auth_channel,
        _server(
            [Implementation(pools, pool_service)], TokenVerifier(fetch_jwks_from(auth_channel))
        ) as draw_address,
        admin_process(
            postgres_dsn=dsn, auth_address=auth_address, draw_address=draw_address, **settings
        ) as (channel, finisher),
    ):
        caller = Caller(channel, auth.token(1, "boss", "admin"))
        variables = {
            "KUJI_POSTGRES_DSN": dsn,
            "KUJI_AUTH_ADDRESS": auth_address,
            "KUJI_DRAW_ADDRESS": draw_address,
            "KUJI_SERVICE_SECRET": SECRET,
        }
        yield World(caller, pools, auth, postgres, channel, finisher, variables)
