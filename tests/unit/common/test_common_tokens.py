"""Verifying access tokens."""

import asyncio
import base64
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from services.common.context import Caller, Role
from services.common.errors import UnauthenticatedError, UnavailableError
from services.common.keyset import Jwks
from services.common.tokens import TokenVerifier

NOW = 1_800_000_000.0


class Issuer:
    """A set of keys that signs tokens, and counts how often it is fetched."""

    def __init__(self) -> None:
        self.keys: dict[str, Ed25519PrivateKey] = {}
        self.fetches = self.ended = 0
        self.is_down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.add("first")

    def add(self, kid: str) -> None:
        """Publish one more key."""
        self.keys[kid] = Ed25519PrivateKey.generate()

    async def fetch(self) -> Jwks:
        """The key set."""
        self.fetches += 1
        await asyncio.sleep(0)
        await self.gate.wait()
        self.ended += 1
        if self.is_down:
            raise ConnectionRefusedError
        return {"keys": [_jwk(kid, key) for kid, key in self.keys.items()]}

    def token(self, kid: str = "first", **changes: Any) -> str:
        """A token good for a minute, with some claims changed; None removes a claim."""
        claims: dict[str, Any] = {
            "iss": "kuji",
            "aud": "kuji",
            "sub": "7",
            "name": "alice",
            "role": "user",
            "iat": int(NOW),
            "exp": int(NOW) + 60,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys[kid], "EdDSA", headers={"kid": kid})


def _jwk(kid: str, key: Ed25519PrivateKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA"}


class RsaIssuer(Issuer):
    """Signs by RS256, as logins do."""

    def add(self, kid: str) -> None:
        """Publish one more key."""
        self.pairs = getattr(self, "pairs", {}) | {kid: generate_private_key(65537, 2048)}

    async def fetch(self) -> Jwks:
        """The key set."""
        return {
            "keys": [
                RSAAlgorithm.to_jwk(pair.public_key(), as_dict=True) | {"kid": kid, "alg": "RS256"}
                for kid, pair in self.pairs.items()
            ]
        }

    def token(self, kid: str = "first", **changes: Any) -> str:
        """A token good for a minute, with some claims changed."""
        claims = {"iss": "kuji", "aud": "kuji", "sub": "7", "name": "alice", "role": "user"}
        content = claims | {"exp": int(NOW) + 60} | changes
        return jwt.encode(content, self.pairs[kid], "RS256", headers={"kid": kid})


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    """One key called "first"."""
    return Issuer()


@pytest.fixture
def clock() -> Clock:
    """It stands at NOW."""
    return Clock()


@pytest.fixture
def verifier(issuer: Issuer, clock: Clock) -> TokenVerifier:
    """It has fetched nothing yet."""
    return TokenVerifier(issuer.fetch, clock)


async def test_token_names_its_caller_when_good(verifier: TokenVerifier, issuer: Issuer) -> None:
    """User id, name and role come from the claims; a second look needs no second fetch."""
    token = issuer.token()
    assert Caller(7, "alice", Role.USER) == await verifier.verify(token)
    assert Caller(7, "alice", Role.USER) == await verifier.verify(token)
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(NOW)},
        {"exp": None},
        {"iss": "somebody"},
        {"aud": "others"},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"sub": "alice"},
        {"role": None},
        {"role": "root"},
    ],
)
async def test_token_is_refused_when_a_claim_is_wrong(
    changes: dict[str, Any], verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Expired, for others, by others, without subject or with a role that does not exist."""
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(issuer.token(**changes))


async def test_token_is_refused_when_forged(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Another key under the same kid, no signature, a symmetric one, and noise."""
    good = issuer.token()
    header, payload, signature = good.split(".")
    forger = Issuer()
    key = issuer.keys["first"]
    forged = [
        jwt.encode({}, key, "EdDSA", headers={"kid": "first"}),
        jwt.encode({"exp": "soon"}, key, "EdDSA", headers={"kid": "first"}),
        issuer.token(aud=["kuji", "others"]),
        issuer.token(exp=[1]),
        f"{good}.{signature}",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}.{signature[:-4]}",
        f"{header}.{payload}.{signature} ",
        f"{header}.{payload}é.{signature}",
        f"{_json({'alg': 'RS256', 'kid': 'first', 'typ': 'JWT'})}.{payload}.{signature}",
        forger.token(),
        f"{header}.{payload}.",
        f"{header}.{forger.token(role='admin').split('.')[1]}.{signature}",
        jwt.encode({"sub": "7"}, "", "none", headers={"kid": "first"}),
        jwt.encode({"sub": "7"}, "x" * 32, "HS256", headers={"kid": "first"}),
        "",
        "noise",
        "a.b.c",
        f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.b.c",
        f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{payload}.{signature}",
        "\ud800.\ud800.\ud800",
    ]
    for token in forged:
        with pytest.raises(UnauthenticatedError):
            await verifier.verify(token)


async def test_rsa_token_is_good_and_its_public_half_signs_nothing(clock: Clock) -> None:
    """Under its kid: another RSA key's, changed claims, and a MAC keyed by what is published."""
    issuer, forger = RsaIssuer(), RsaIssuer()
    verifier = TokenVerifier(issuer.fetch, clock)
    good = issuer.token()
    assert Caller(7, "alice", Role.USER) == await verifier.verify(good)
    header, _, signature = good.split(".")
    published = issuer.pairs["first"].public_key()
    spki = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    signed = f"{_json({'alg': 'HS256', 'kid': 'first'})}.{good.split('.')[1]}"
    mac = hmac.digest(published.public_bytes(*spki), signed.encode(), "sha256")
    for token in (
        forger.token(),
        f"{header}.{forger.token(role='admin').split('.')[1]}.{signature}",
        f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        issuer.token(exp=int(NOW)),
    ):
        with pytest.raises(UnauthenticatedError):
            await verifier.verify(token)


def _json(content: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("more", [{"crit": ["b64"], "b64": False}, {"jku": "http://127.0.0.1/"}])
async def test_token_is_refused_when_its_head_says_more(
    more: dict[str, Any], verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Even where its signature is good: what a head asks for is not done here."""
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    await verifier.verify(issuer.token())
    token = jwt.encode(claims, issuer.keys["first"], "EdDSA", {"kid": "first"} | more)
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(token)


async def test_token_is_refused_when_it_expires_after_it_was_verified(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    """A remembered token does not outlive its expiry."""
    token = issuer.token()
    await verifier.verify(token)
    clock.now = NOW + 60
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(token)


async def test_token_is_accepted_when_its_issuer_is_ahead_of_our_clock(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Clocks differ between machines: an issue time in the future is no forgery."""
    assert await verifier.verify(issuer.token(iat=int(NOW) + 30))


async def test_new_key_is_fetched_when_a_token_names_it(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    """A rotation needs no restart: an unknown kid makes the keys be fetched again."""
    await verifier.verify(issuer.token())
    issuer.add("second")
    clock.now += 2
    assert await verifier.verify(issuer.token("second"))


async def test_token_needs_no_waiting_once_its_key_is_known(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Whoever comes then is admitted or refused in that step; the key itself is waited for."""
    assert verifier.verified(issuer.token()) is None
    await verifier.verify(issuer.token())
    assert verifier.verified(issuer.token(sub="8")) == Caller(8, "alice", Role.USER)
    with pytest.raises(UnauthenticatedError):
        verifier.verified(issuer.token(sub="9") + "x")
    with pytest.raises(UnauthenticatedError):
        verifier.verified("nonsense")
    assert issuer.fetches == 1


async def test_unknown_kids_cause_one_fetch_a_second_at_most(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Tokens with invented kids cannot make us flood the auth service."""
    await verifier.verify(issuer.token())
    stranger = Issuer()
    stranger.add("invented")
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            await verifier.verify(stranger.token("invented"))
    assert issuer.fetches == 1


async def test_keys_are_fetched_once_when_many_calls_need_them(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """A hundred first calls at once share one fetch."""
    tokens = [issuer.token(sub=str(number)) for number in range(100)]
    callers = await asyncio.gather(*map(verifier.verify, tokens))
    assert list(range(100)) == [caller.user_id for caller in callers]
    assert issuer.fetches == 1


async def settled(issuer: Issuer, fetches: int) -> None:
    """Return once so many fetches have ended."""
    async with asyncio.timeout(10):
        while issuer.ended < fetches:  # noqa: ASYNC110  # it ends within a few turns
            await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_known_keys_stay_good_when_the_auth_service_is_down(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    """An outage of the auth service does not refuse tokens of keys already known."""
    await verifier.verify(issuer.token())
    issuer.is_down = True
    clock.now += 61
    assert await verifier.verify(issuer.token(exp=int(NOW) + 600))
    await settled(issuer, 2)
    assert await verifier.verify(issuer.token(exp=int(NOW) + 601))
    assert issuer.fetches == 2


async def test_known_keys_are_not_waited_for_when_the_auth_service_is_frozen(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    """The set is fetched anew beside the calls, not in their way."""
    await verifier.verify(issuer.token())
    issuer.gate.clear()
    clock.now += 61
    for number in range(3):
        assert await verifier.verify(issuer.token(exp=int(NOW) + 600 + number))
    issuer.gate.set()
    await settled(issuer, 2)
    assert issuer.fetches == 2


@pytest.mark.parametrize("kid", ["first", "second"])
async def test_token_is_not_called_bad_when_its_key_cannot_be_asked_for(
    kid: str, issuer: Issuer, clock: Clock
) -> None:
    """No key was ever fetched, or a newer one signs: 503, not 401, and good once auth is back."""
    verifier = TokenVerifier(issuer.fetch, clock)
    if kid == "second":
        await verifier.verify(issuer.token())
        issuer.add("second")
        clock.now += 2
    issuer.is_down = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await verifier.verify(issuer.token(kid))
    issuer.is_down = False
    clock.now += 2
    assert await verifier.verify(issuer.token(kid))


async def test_forged_token_is_refused_though_the_auth_service_is_down(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    """A known kid with another's signature needs nobody's word."""
    await verifier.verify(issuer.token())
    issuer.is_down = True
    clock.now += 61
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(Issuer().token())


async def test_copy_serves_a_process_that_starts_while_the_auth_service_is_down(
    issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    """The set as last fetched, by this process or another; fetched anew as soon as may be."""
    copy = tmp_path / "keys.json"
    await TokenVerifier(issuer.fetch, clock, copy).verify(issuer.token())
    issuer.is_down = True
    restarted = TokenVerifier(issuer.fetch, clock, copy)
    assert await restarted.verify(issuer.token())
    issuer.is_down = False
    issuer.add("second")
    clock.now += 2
    assert await restarted.verify(issuer.token("second"))
    assert {"first", "second"} == {key["kid"] for key in json.loads(copy.read_text())["keys"]}
    assert [copy] == list(tmp_path.iterdir())  # noqa: ASYNC240  # two files at most


async def test_withdrawn_key_is_not_taken_from_the_copy_when_the_auth_service_answers(
    issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    """The copy is for outages alone."""
    copy = tmp_path / "keys.json"
    token = issuer.token()
    await TokenVerifier(issuer.fetch, clock, copy).verify(token)
    issuer.add("second")
    del issuer.keys["first"]
    with pytest.raises(UnauthenticatedError):
        await TokenVerifier(issuer.fetch, clock, copy).verify(token)


@pytest.mark.parametrize("content", ["", "{}", "noise", '{"keys": 7}', None])
async def test_unfit_copy_is_no_copy(
    content: str | None, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    """Half a file, or a folder that is not there, is told as the outage that it leaves us with."""
    copy = tmp_path / "keys.json" if content is not None else tmp_path / "nowhere" / "keys.json"
    if content is not None:
        copy.write_text(content)
    verifier = TokenVerifier(issuer.fetch, clock, copy)
    issuer.is_down = True
    with pytest.raises(UnavailableError):
        await verifier.verify(issuer.token())
    issuer.is_down = False
    clock.now += 2
    assert await verifier.verify(issuer.token())


async def test_copy_is_forgotten_when_it_is_a_day_old(
    issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    """No token lives that long, and its key may have been withdrawn."""
    copy = tmp_path / "keys.json"
    await TokenVerifier(issuer.fetch, clock, copy).verify(issuer.token())
    a_day_ago = time.time() - 24 * 3600
    os.utime(copy, (a_day_ago, a_day_ago))
    issuer.is_down = True
    with pytest.raises(UnavailableError):
        await TokenVerifier(issuer.fetch, clock, copy).verify(issuer.token())
