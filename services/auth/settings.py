"""What the auth process is told."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretBytes, SecretStr

from services.auth.credentials import PASSWORD, SERVICE_SECRET, USERNAME
from services.common.settings import PostgresDsn, ServiceSettings


def _key_of_hex(text: object) -> bytes:
    try:
        key = bytes.fromhex(str(text))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("it must be 64 hex digits")
    return key


class AuthSettings(ServiceSettings):
    """
    Settings of the auth service.

    Args:
        postgres_dsn: The database of users and keys.
        token_key_secret: 32 bytes, given as 64 hex digits; encrypts signing keys at rest.
        service_secret: What a service presents to get a token.
        admin_username: The administrator that is ensured at start.
        admin_password: Its password; changing it logs the administrator out everywhere.
        access_token_ttl_s: Life of a user's access token.
        service_token_ttl_s: Life of a service's access token.
        refresh_token_ttl_s: Life of a refresh token; each refresh starts a new one.
        refresh_grace_s: How long a spent refresh token buys the same successor again, while that
            one is unspent: two tabs at once, or an answer that was lost.
        key_grace_s: How long a new key is published before it signs. Longer than anybody
            caches the key set: Envoy's cache_duration, five minutes, is the longest.
        key_reload_s: How often keys are read again; shorter than key_grace_s.
        cleanup_s: How often expired tokens and keys are deleted.
        argon2_memory_kib: Memory of one hash. The defaults are OWASP's for Argon2id.
        argon2_passes: Passes over that memory.
        argon2_lanes: Parallel lanes of one hash.
        hash_threads: Hashes computed at once.
        hash_queue: Hashes of one kind (registrations, logins from networks known as the
            account's, other logins) that may wait; beyond it OVERLOADED for whoever has most.
        login_failures: Failed logins of an account from one network that are checked at once.
        login_retry_known_s: After that, seconds for one more, where the owner has logged in from
            that network.
        login_retry_s: Likewise, where it has not.
        login_failures_of_account: Failed logins of an account from all networks unknown to it.
        login_failures_of_network: Failed logins from one network, of accounts unknown there.
        login_retry_of_network_s: After that, seconds for one more.
        login_subjects: Accounts and networks whose failed logins this process remembers.
        known_network_ttl_s: How long a network is known as an account's after a login.
    """

    postgres_dsn: PostgresDsn
    token_key_secret: Annotated[SecretBytes, BeforeValidator(_key_of_hex)]
    service_secret: Annotated[SecretStr, Field(min_length=16, max_length=SERVICE_SECRET.max_length)]
    admin_username: Annotated[
        str,
        Field(
            min_length=USERNAME.min_length,
            max_length=USERNAME.max_length,
            pattern=USERNAME.pattern,
        ),
    ] = "admin"
    admin_password: Annotated[
        SecretStr, Field(min_length=PASSWORD.min_length, max_length=PASSWORD.max_length)
    ]
    access_token_ttl_s: Annotated[int, Field(gt=0, le=24 * 3600)] = 900
    service_token_ttl_s: Annotated[int, Field(gt=0)] = 900
    refresh_token_ttl_s: Annotated[int, Field(gt=0)] = 30 * 24 * 3600
    refresh_grace_s: Annotated[float, Field(ge=0)] = 10.0
    key_grace_s: Annotated[int, Field(ge=0)] = 600
    key_reload_s: Annotated[float, Field(gt=0)] = 30.0
    cleanup_s: Annotated[float, Field(gt=0)] = 600.0
    argon2_memory_kib: Annotated[int, Field(ge=8)] = 19 * 1024
    argon2_passes: Annotated[int, Field(ge=1)] = 2
    argon2_lanes: Annotated[int, Field(ge=1)] = 1
    hash_threads: Annotated[int, Field(ge=1)] = 2
    hash_queue: Annotated[int, Field(ge=1)] = 512
    login_failures: Annotated[int, Field(ge=1)] = 30
    login_retry_known_s: Annotated[float, Field(gt=0)] = 2.0
    login_retry_s: Annotated[float, Field(gt=0)] = 10.0
    login_failures_of_account: Annotated[int, Field(ge=1)] = 100
    login_failures_of_network: Annotated[int, Field(ge=1)] = 300
    login_retry_of_network_s: Annotated[float, Field(gt=0)] = 0.2
    login_subjects: Annotated[int, Field(ge=1)] = 100_000
    known_network_ttl_s: Annotated[float, Field(gt=0)] = 90 * 24 * 3600.0
