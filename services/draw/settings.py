"""What the draw service is told."""

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from services.common.server.serve import Front
from services.common.settings import PostgresDsn, RedisUrl, ServiceSettings
from services.pool.rule.terms import LATE_DRAWS


class DrawSettings(ServiceSettings):
    """
    See ServiceSettings; besides:

    Args:
        postgres_dsn: Where pools, seeds and recorded draws are.
        redis_url: Where stock and ledger are.
        auth_address: host:port of the auth service, for its public keys.
        seed_key: 64 hexadecimal digits; encrypts the pools' seeds at rest.
        code_key: 64 hexadecimal digits; makes the prize codes and draw tickets, and may be changed
            at any time.
        other_code_key: The code_key before, or the next one: its draw tickets are good as well.
        max_message_bytes: Enough for the largest configuration of a pool: 256 prizes with texts of
            2100 characters, of four bytes each.
        redis_timeout_s: Bound of one script call; past it the outcome is unknown.
        max_batch_draws: Draws in one script call.
        max_pending_draws: Draws of a pool that may wait in this process, with those of all pools
            whose answers wait for their marks.
        max_backlog_draws: Draws of a pool that may wait for the recorder.
        confirm_patience_s: A win to be confirmed by record waits as long as its caller; when a
            pool's oldest has waited so long, the next ones are told at once to ask again.
        max_unconfirmed_wins: Wins that may wait so in this process.
        confirm_replicas: Replicas of the store that must have a draw to be confirmed by replica.
        marks_folder: On one machine, shared by all draw processes and kept as long as the store's
            data, but not in it: what was answered is marked there first, so that no older copy of
            the store is used. None: Postgres has the marks, mark_every_s behind.
        mark_every_s: How often marks are written to Postgres.
        max_store_bytes: Store memory that draws may fill; 0: nine tenths of its maxmemory.
        audit_every_s: How often the stock of the pools is audited, for the metrics.
        watch_every_s: How often store memory, store clock and ended pools are looked at.
        clock_hold_s: For how long a store's clock that jumped must stay so, to be believed.
        late_draws: Draws of an activity with nothing left to be won that users still make, as
            misses; then they are told that it is sold out, and the edge answers for it.
        require_users: Whether services may draw only for users who exist.
        draw_front: What serves gRPC here: "grpcio" is grpc.aio; "gathering" is grpc's core with the
            draws answered together that have arrived.
        sweep_every_s: How often orders are looked for that were left reserved.
        sweep_after_s: How long an order is reserved before it counts as left.
    """

    postgres_dsn: PostgresDsn
    redis_url: RedisUrl
    auth_address: str
    seed_key: SecretStr
    code_key: SecretStr
    other_code_key: SecretStr | None = None
    max_message_bytes: int = Field(default=4 << 20, ge=4 << 20)
    redis_timeout_s: float = 2.0
    max_batch_draws: int = Field(default=400, ge=100, le=1000)
    max_pending_draws: int = Field(default=20_000, ge=1000)
    max_backlog_draws: int = Field(default=2_000_000, ge=1)
    confirm_patience_s: float = Field(default=2.0, gt=0)
    max_unconfirmed_wins: int = Field(default=20_000, ge=1000)
    confirm_replicas: int = Field(default=1, ge=1)
    marks_folder: Path | None = None
    mark_every_s: float = Field(default=0.2, gt=0)
    max_store_bytes: int = Field(default=0, ge=0)
    watch_every_s: float = Field(default=2.0, gt=0)
    clock_hold_s: float = Field(default=300.0, gt=0)
    audit_every_s: float = Field(default=15.0, gt=0)
    late_draws: int = Field(default=LATE_DRAWS, ge=0)
    require_users: bool = False
    draw_front: Front = Front.GATHERING
    sweep_every_s: float = Field(default=5.0, gt=0)
    sweep_after_s: float = Field(default=10.0, ge=0)

    @field_validator("seed_key", "code_key", "other_code_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value.get_secret_value()):
            raise ValueError("64 hexadecimal digits are needed")
        return value
