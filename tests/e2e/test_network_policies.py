"""The policies of k8s/ name the connections of a running stack, and no others."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from tests.k8s.network import allowed_edges
from tests.support.edge import caller, log_in_admin, register
from tests.support.manifests import rendered, workloads
from tests.support.sockets import connections_of
from tests.support.stacks import StackUnderTest

_PATIENCE_S = 60
_JOBS = {name for name, one in workloads(rendered("dev")).items() if one["kind"] == "Job"}


def _seen(stack: StackUnderTest) -> Iterator[tuple[str, str]]:
    """From which part to which there is a connection."""
    ports = {int(address.rpartition(":")[2]): name for name, address in stack.grpc.items()}
    ports |= {urlsplit(stack.redis).port or 0: "valkey"}
    ports |= {urlsplit(stack.postgres).port or 0: "postgres"}
    for name, pid in stack.pids().items():
        for connection in connections_of(pid):
            if connection.own not in ports and connection.other in ports:
                yield name, ports[connection.other]


async def test_policies_let_pass_what_the_parts_do(
    stack: StackUnderTest, http: httpx.AsyncClient
) -> None:
    """Each connection of the policies is seen while a draw is played, and none beside them."""
    expected = {
        (edge.caller, edge.callee)
        for edge in allowed_edges(rendered("dev"))
        if edge.caller not in _JOBS
    }
    assert ("draw", "valkey") in expected
    seen: set[tuple[str, str]] = set()
    admin = caller(http, await log_in_admin(http, stack.admin))
    user = caller(http, (await register(http))["access_token"])
    async with asyncio.timeout(_PATIENCE_S):
        while not seen >= expected:
            activity = await admin("POST", "/admin/api/activities", json={"name": "way"})
            await user("GET", "/api/user/lottery-history")
            await user("GET", "/api/lottery/activities")
            await admin("GET", "/admin/api/statistics")
            assert activity
            seen |= set(_seen(stack))
    assert expected == seen
