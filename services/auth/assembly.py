"""The auth service, put together from its settings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from kuji.auth.v1 import auth_pb2

from services.auth.access_tokens import AccessTokens
from services.auth.accounts import Accounts
from services.auth.address_blocks import AddressBlocks
from services.auth.attempts import Allowance
from services.auth.key_store import KeyStore
from services.auth.keys import KeyCipher, KeyRing
from services.auth.login_guard import LoginAllowances, LoginGuard
from services.auth.login_store import RefreshTokenStore
from services.auth.passwords import Argon2Cost, Passwords
from services.auth.service_door import ServiceDoor
from services.auth.servicer import AuthServicer
from services.auth.sessions import Sessions
from services.auth.settings import AuthSettings
from services.auth.user_store import KnownNetworkStore, UserStore
from services.common.ended_tokens import EndedTokens, following_ended_tokens
from services.common.keyset import Jwks
from services.common.postgres import open_pool
from services.common.server.serve import Implementation
from services.common.tasks import insist
from services.common.tokens import TokenVerifier


@dataclass(frozen=True, slots=True)
class AuthParts:
    """The parts of a running auth service."""

    implementation: Implementation
    verifier: TokenVerifier
    ring: KeyRing
    sessions: Sessions
    accounts: Accounts

    async def delete_expired(self) -> None:
        """Delete the refresh tokens, signing keys and known networks that have expired."""
        await self.sessions.delete_expired()
        await self.accounts.forget_old_networks()
        await self.ring.delete_expired()


@asynccontextmanager
async def open_auth(settings: AuthSettings) -> AsyncIterator[AuthParts]:
    """
    The service, with its keys loaded and its administrator ensured; closed on leaving.

    Until Postgres answers, it waits.

    Raises:
        KeyUnreadableError: The stored keys were encrypted with another secret.
    """
    passwords = Passwords(
        Argon2Cost(settings.argon2_memory_kib, settings.argon2_passes, settings.argon2_lanes),
        settings.hash_threads,
        settings.hash_queue,
    )
    try:
        async with (
            await open_pool(settings.postgres_dsn) as pool,
            following_ended_tokens(settings.postgres_dsn) as ended,
        ):
            yield await insist("start", lambda: _assemble(settings, pool, passwords, ended))
    finally:
        passwords.close()


async def _assemble(
    settings: AuthSettings, pool: asyncpg.Pool, passwords: Passwords, ended: EndedTokens
) -> AuthParts:
    cipher = KeyCipher(settings.token_key_secret.get_secret_value())
    ring = KeyRing(KeyStore(pool), cipher, timedelta(seconds=settings.key_grace_s))
    await ring.load()
    networks = KnownNetworkStore(pool, settings.known_network_ttl_s)
    guard = LoginGuard(_allowances_of(settings), settings.login_subjects)
    accounts = Accounts(UserStore(pool), networks, passwords, guard)
    await accounts.ensure_admin(settings.admin_username, settings.admin_password.get_secret_value())
    tokens = AccessTokens(ring)
    sessions = Sessions(
        RefreshTokenStore(pool, settings.access_token_ttl_s),
        tokens,
        settings.access_token_ttl_s,
        settings.refresh_token_ttl_s,
        settings.refresh_grace_s,
    )
    door = ServiceDoor(
        settings.service_secret.get_secret_value(), tokens, settings.service_token_ttl_s
    )
    service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
    implementation = Implementation(
        AuthServicer(accounts, sessions, door, ring, AddressBlocks(pool)), service
    )
    verifier = TokenVerifier(_fetcher_of(ring), ended=ended)
    return AuthParts(implementation, verifier, ring, sessions, accounts)


def _allowances_of(settings: AuthSettings) -> LoginAllowances:
    burst = settings.login_failures
    return LoginAllowances(
        known=Allowance(burst, settings.login_retry_known_s),
        unknown=Allowance(burst, settings.login_retry_s),
        account=Allowance(settings.login_failures_of_account, settings.login_retry_s),
        network=Allowance(settings.login_failures_of_network, settings.login_retry_of_network_s),
    )


def _fetcher_of(ring: KeyRing) -> Callable[[], Awaitable[Jwks]]:
    async def fetch() -> Jwks:
        return ring.jwks()

    return fetch
