"""Addresses that operators have blocked: nobody registers or logs in from there."""

import asyncpg
from kuji.auth.v1 import auth_pb2
from prometheus_client import REGISTRY

from tests.support.auth import ADMIN_PASSWORD, PASSWORD, by_edge, reason_of, register, serving

BLOCKED = ("203.0.113.7", "::ffff:203.0.113.9", "2001:db8:0:1::5")
FREE = ("203.0.114.1", "2001:db9::1", "not an address")


def _stopped() -> float:
    labels = {"layer": "auth", "reason": "USER_BLOCKED"}
    return REGISTRY.get_sample_value("kuji_stopped_total", labels) or 0.0


async def test_nobody_logs_in_from_a_blocked_address(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Nor registers or refreshes, from the next call on; an administrator does, to lift it."""
    async with serving(postgres_dsn) as stub:
        session = await register(stub, at=FREE[0])

        async def told(address: str) -> list[str]:
            at = by_edge(address)
            name = f"at{abs(hash(address))}"
            calls = (
                stub.Register(
                    auth_pb2.RegisterRequest(username=name, password=PASSWORD), metadata=at
                ),
                stub.Login(auth_pb2.LoginRequest(username="alice", password=PASSWORD), metadata=at),
                stub.Refresh(auth_pb2.RefreshRequest(refresh_token="unknown"), metadata=at),
                stub.AdminLogin(
                    auth_pb2.AdminLoginRequest(username="admin", password=ADMIN_PASSWORD),
                    metadata=at,
                ),
            )
            return [await reason_of(call) for call in calls]

        await postgres.execute(
            "INSERT INTO blocks (network, reason, until, created_by) VALUES"
            " ('203.0.113.0/24', '', NULL, 1), ('2001:db8::/32', '', now() + interval '1h', 1),"
            " ('203.0.114.1', '', now() - interval '1 second', 1)"
        )
        before = _stopped()
        for address in BLOCKED:
            assert ["USER_BLOCKED"] * 3 + ["OK"] == await told(address), address
        assert before + 9 == _stopped()
        for address in FREE:
            assert ["OK", "OK", "UNAUTHENTICATED", "OK"] == await told(address), address
        await postgres.execute("UPDATE blocks SET lifted_at = now()")
        assert ["OK", "OK", "UNAUTHENTICATED", "OK"] == await told(BLOCKED[0])
        request = auth_pb2.RefreshRequest(refresh_token=session.refresh_token)
        assert "OK" == await reason_of(stub.Refresh(request, metadata=by_edge(BLOCKED[0])))
