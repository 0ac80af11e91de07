"""Whose address the services are told, and by whom."""

from pathlib import Path

import pytest
from kuji.auth.v1 import auth_pb2

from services.common.addresses import network_of
from services.common.origin import Origin
from tests.contract.edge_rig import Rig, running_rig

FORGED = {
    "x-forwarded-for": "203.0.113.9",
    "x-envoy-external-address": "203.0.113.9",
    "x-real-ip": "203.0.113.9",
    "forwarded": "for=203.0.113.9",
    "x-kuji-client-address": "203.0.113.9",
    "x-kuji-edge": "nothing that it would know",
}
LOGIN = {"username": "alice", "password": "correct horse"}


async def origin_seen(rig: Rig, headers: dict[str, str]) -> Origin:
    """Where a login with *headers* comes from, in the eyes of the service."""
    rig.script.answer("Login", auth_pb2.LoginResponse())
    response = await rig.http.post("/api/auth/login", json=LOGIN, headers=headers)
    assert response.status_code == 200
    _, _, ctx = rig.script.requests[-1]
    return ctx.origin


@pytest.mark.parametrize("header", FORGED)
async def test_address_is_that_of_the_connection_whatever_a_client_says(
    rig: Rig, header: str
) -> None:
    """No header that a client can send makes it somebody else."""
    origin = await origin_seen(rig, {header: FORGED[header]})
    assert origin.address == "127.0.0.1"
    assert origin.address != origin.peer


async def test_address_is_what_the_trusted_proxy_says(tmp_path: Path) -> None:
    """With one proxy in front, the newest entry counts: what came before it anybody can write."""
    async with running_rig(tmp_path, trusted_hops=1) as rig:
        origin = await origin_seen(rig, {"x-forwarded-for": "198.51.100.66, 203.0.113.9"})
        assert origin.address == "203.0.113.9"
        origin = await origin_seen(rig, {"x-forwarded-for": "2001:db8::1"})
        assert network_of(origin.address) == "2001:db8::/64"


async def test_user_agent_comes_through(rig: Rig) -> None:
    """For the list of a user's sessions."""
    origin = await origin_seen(rig, {"user-agent": "Kuji/1.0 (a phone)"})
    assert origin.user_agent == "Kuji/1.0 (a phone)"
