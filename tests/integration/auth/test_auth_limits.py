"""Guessing at the auth service: refused by account and address, and nobody is locked out."""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest
from argon2 import PasswordHasher
from kuji.auth.v1 import auth_pb2
from prometheus_client import REGISTRY

from services.auth import service_door
from services.auth.attempts import Allowance
from services.auth.user_store import KnownNetworkStore, UserStore
from tests.support.auth import (
    BAD_CREDENTIALS,
    PASSWORD,
    SERVICE_SECRET,
    by_edge,
    connected,
    failure_of,
    listening,
    login,
    reason_of,
    register,
    serving,
)

if TYPE_CHECKING:
    from kuji.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub as Stub

HOUR_S = 3600
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
async def stub(postgres_dsn: str) -> AsyncIterator[Stub]:
    """A service that lets few guesses through an hour, and alice, who registered at home."""
    few = {"login_failures": 4, "login_failures_of_account": 12, "login_failures_of_network": 20}
    hourly = {"login_retry_s": HOUR_S, "login_retry_of_network_s": HOUR_S}
    async with serving(postgres_dsn, **few, **hourly) as stub:
        await register(stub, "alice", at=HOME)
        yield stub


async def guess(stub: Stub, username: str, at: str, times: int) -> Counter[str]:
    """What so many wrong passwords at once are answered."""
    guesses = (login(stub, username, f"wrong {number}", at=at) for number in range(times))
    return Counter(await asyncio.gather(*map(reason_of, guesses)))


# ----------------------------------------------------------- limits of logins


async def test_guesses_at_an_account_are_refused_from_an_address(stub: Stub) -> None:
    """A few are checked, the rest is told how long to wait; also at a name that is nobody's."""
    for username in ("alice", "nobody"):
        answers = await guess(stub, username, ELSEWHERE, 10)
        assert answers == {"BAD_CREDENTIALS": 4, "RATE_LIMITED": 6}
        _, reason, metadata = await failure_of(login(stub, username, at=ELSEWHERE))
        assert reason == "RATE_LIMITED"
        assert 0 < int(metadata["retry_after_ms"]) <= HOUR_S * 1000


async def test_owner_gets_in_at_home_while_everybody_guesses(stub: Stub) -> None:
    """From forty addresses at once, until the account lets nobody else in: the owner is let in."""
    answers: Counter[str] = Counter()
    for number in range(40):
        answers += await guess(stub, "alice", f"203.0.113.{number}", 2)
    assert answers == {"BAD_CREDENTIALS": 12, "RATE_LIMITED": 68}
    assert await reason_of(login(stub, at=ELSEWHERE)) == "RATE_LIMITED"
    assert (await login(stub, at=HOME)).username == "alice"


async def test_guesses_at_everybody_are_refused_from_an_address(stub: Stub) -> None:
    """One password for many names: by then the address is known for it, its own users are not."""
    answers: Counter[str] = Counter()
    for number in range(30):
        answers += await guess(stub, f"user{number}", HOME, 1)
    assert answers == {"BAD_CREDENTIALS": 20, "RATE_LIMITED": 10}
    assert (await login(stub, at=HOME)).username == "alice"


async def test_one_subscriber_of_ipv6_is_one_address(stub: Stub) -> None:
    """Whoever has a /64 has all its addresses."""
    answers: Counter[str] = Counter()
    for number in range(10):
        answers += await guess(stub, "alice", f"2001:db8::{number}", 1)
    assert answers == {"BAD_CREDENTIALS": 4, "RATE_LIMITED": 6}


async def test_login_makes_an_address_known(stub: Stub, postgres: asyncpg.Pool) -> None:
    """Also one where the owner did not register; how many are known is bounded."""
    for number in range(25):
        await login(stub, at=f"203.0.113.{number}")
    known = {row["network"] for row in await postgres.fetch("SELECT network FROM known_networks")}
    assert known == {f"203.0.113.{number}" for number in range(5, 25)}


async def test_address_is_not_known_for_ever(postgres: asyncpg.Pool, stub: Stub) -> None:
    """Ninety days after the last login it is an address like any other, and forgotten."""
    networks = KnownNetworkStore(postgres, ttl_s=90 * 86_400)
    assert await networks.is_known("ALICE", HOME)
    await postgres.execute("UPDATE known_networks SET last_login_at = now() - interval '91 days'")
    assert not await networks.is_known("alice", HOME)
    assert [await networks.delete_old(10) for _ in range(2)] == [1, 0]
    alice = await UserStore(postgres).find("alice")
    assert alice is not None
    await networks.remember(alice, HOME)
    assert await networks.is_known("alice", HOME)


async def test_address_is_the_callers_own_when_no_edge_says_another(stub: Stub) -> None:
    """A header that anybody can send changes nothing: the fifth guess is refused."""
    answers = []
    for number in range(6):
        request = auth_pb2.LoginRequest(username="alice", password="wrong")
        forged = (
            ("x-kuji-client-address", f"203.0.113.{number}"),
            ("x-forwarded-for", f"203.0.113.{number}"),
            ("x-envoy-external-address", f"203.0.113.{number}"),
        )
        answers.append(await reason_of(stub.Login(request, metadata=forged)))
    assert answers == ["BAD_CREDENTIALS"] * 4 + ["RATE_LIMITED"] * 2


async def test_administrator_is_guarded_alike(stub: Stub) -> None:
    """The login of administrators is no way around."""
    request = auth_pb2.AdminLoginRequest(username="admin", password="wrong")
    calls = (stub.AdminLogin(request, metadata=by_edge(HOME)) for _ in range(10))
    answers = Counter(await asyncio.gather(*map(reason_of, calls)))
    assert answers == {"BAD_CREDENTIALS": 4, "RATE_LIMITED": 6}


async def test_impossible_name_costs_nothing(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody can be called needs no hashing to be refused."""
    monkeypatch.setattr(PasswordHasher, "verify", None)
    for username in ("", "a b", "a' OR 1=1 --"):
        assert await failure_of(login(stub, username, at=HOME)) == BAD_CREDENTIALS


# ---------------------------------------------------------------------- lanes


class Checks:
    """Lets checks of passwords happen one by one."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self.begun, self.may_go = threading.Semaphore(0), threading.Semaphore(0)

    async def let_one_go(self) -> None:
        """Return when the checks that run have begun, and one of them went on."""
        await asyncio.to_thread(self.begun.acquire)
        self.may_go.release()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    """Every check waits until it is let go."""
    checks, original = Checks(), PasswordHasher.verify

    def verify(self: PasswordHasher, stored: str, password: bytes) -> bool:
        checks.passwords.append(password.decode())
        checks.begun.release()
        checks.may_go.acquire()
        return original(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    yield checks
    checks.may_go.release(1000)


async def until_waiting(stub: Stub, kind: str, passwords: int) -> None:
    """Return when so many passwords of a kind of caller wait to be checked."""
    async with asyncio.timeout(30):
        while REGISTRY.get_sample_value("kuji_auth_hashes_waiting", {"kind": kind}) != passwords:
            await stub.GetJwks(auth_pb2.GetJwksRequest())


async def test_flood_waits_for_itself(postgres_dsn: str, checks: Checks) -> None:
    """64 open logins with wrong passwords: an honest one is next after those that run."""
    async with serving(postgres_dsn, hash_threads=2) as stub:
        await register(stub, "alice", at=HOME)
        flood = [
            asyncio.create_task(reason_of(login(stub, f"user{n}", "wrong", at=HOME)))
            for n in range(64)
        ]
        await until_waiting(stub, "unknown", 62)
        honest = asyncio.create_task(login(stub, at=HOME))
        await until_waiting(stub, "known", 1)
        while PASSWORD not in checks.passwords:
            await checks.let_one_go()
        checks.may_go.release(64)
        assert (await honest).username == "alice"
        assert checks.passwords.index(PASSWORD) <= 3
        assert Counter(await asyncio.gather(*flood)) == {"BAD_CREDENTIALS": 64}


async def test_stranger_from_elsewhere_is_next_too(postgres_dsn: str, checks: Checks) -> None:
    """Who logs in from a new address waits for one of the flood's, not for all."""
    async with serving(postgres_dsn, hash_threads=1) as stub:
        await register(stub, "alice", at=HOME)
        flood = [
            asyncio.create_task(reason_of(login(stub, f"user{n}", "wrong", at="203.0.113.1")))
            for n in range(20)
        ]
        await until_waiting(stub, "unknown", 19)
        honest = asyncio.create_task(login(stub, at=ELSEWHERE))
        await until_waiting(stub, "unknown", 20)
        while PASSWORD not in checks.passwords:
            await checks.let_one_go()
        checks.may_go.release(64)
        assert checks.passwords.index(PASSWORD) <= 2
        assert (await honest).username == "alice"
        await asyncio.gather(*flood)


# ------------------------------------------------------------------- services


async def knock(stub: Stub, secret: str) -> str:
    """What a service with this secret is answered."""
    request = auth_pb2.IssueServiceTokenRequest(service="admin", secret=secret)
    return await reason_of(stub.IssueServiceToken(request))


async def test_guesses_at_the_service_secret_are_refused(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few on a connection are looked at; the right one among the others is not."""
    monkeypatch.setattr(service_door, "_BY_CONNECTION", Allowance(3, HOUR_S))
    answers = Counter([await knock(stub, f"guess {number}") for number in range(50)])
    assert answers == {"BAD_CREDENTIALS": 3, "RATE_LIMITED": 47}
    request = auth_pb2.IssueServiceTokenRequest(service="admin", secret=SERVICE_SECRET)
    _, reason, metadata = await failure_of(stub.IssueServiceToken(request))
    assert reason == "RATE_LIMITED"
    assert 0 < int(metadata["retry_after_ms"]) <= HOUR_S * 1000


async def test_service_is_let_in_whatever_others_guess(postgres_dsn: str) -> None:
    """Over a connection that the secret came over before, and over one of its own."""
    async with (
        listening(postgres_dsn) as address,
        connected(address) as service,
        connected(address) as mallory,
        connected(address) as another,
    ):
        assert await knock(service, SERVICE_SECRET) == "OK"
        for number in range(50):
            await knock(mallory, f"guess {number}")
        assert await knock(service, SERVICE_SECRET) == "OK"
        assert await knock(another, SERVICE_SECRET) == "OK"


async def test_secret_is_compared_in_constant_time(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hmac.compare_digest, whatever is given."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert await knock(stub, SERVICE_SECRET[:-1]) == "BAD_CREDENTIALS"
    assert (SERVICE_SECRET[:-1].encode(), SERVICE_SECRET.encode()) in compared
