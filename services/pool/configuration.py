"""A pool's configuration from the wire: its bounds, checked in one place."""

from google.protobuf.json_format import MessageToJson
from kuji.draw.v1 import pool_pb2

from services.common.errors import InvalidArgumentError
from services.pool.rule.selection import PPB, Mode
from services.pool.rule.terms import UNLIMITED, Confirm, PoolConfig, PoolStatus, PrizeConfig

MAX_PRIZES = 256
MAX_UNITS = 1_000_000_000
MAX_WEIGHT = 1_000_000_000
_MAX_EXACT = (1 << 53) - 1  # integers up to here are exact in Lua


def config_of(message: pool_pb2.PoolConfig) -> PoolConfig:
    """*message* as the engine takes it; InvalidArgumentError names the field that is unfit."""
    limits = message.limits
    config = PoolConfig(
        mode=_mode(message.mode),
        prizes=tuple(_prize(prize) for prize in message.prizes),
        status=_status(message.status),
        start_ms=_at_least_zero("start_ms", message.start_ms),
        end_ms=_at_least_zero("end_ms", message.end_ms),
        cooldown_ms=_at_least_zero("cooldown_ms", limits.cooldown_ms),
        draws_per_user=_at_least_zero("draws_per_user", limits.draws_per_user),
        draws_per_day=_at_least_zero("draws_per_day", limits.draws_per_day),
        wins_per_user=_at_least_zero("wins_per_user", limits.wins_per_user),
        day_offset_ms=_within("day_offset_minutes", limits.day_offset_minutes, -720, 840) * 60_000,
        activity_id=_at_least_zero("activity_id", message.activity_id),
        protection_ms=_at_least_zero("protection_ms", message.protection_ms),
        confirm=_confirm(message.confirm),
    )
    _check_prizes(config)
    return config


def check_numbers(request: pool_pb2.PublishPoolRequest) -> None:
    """InvalidArgumentError when the pool or a version is none that a store can hold."""
    _within("pool_id", request.pool_id, 1, _MAX_EXACT)
    _within("version", request.version, 1, _MAX_EXACT)
    _at_least_zero("expected_version", request.expected_version)


def document_of(message: pool_pb2.PoolConfig) -> str:
    """*message* as JSON, as the ledger keeps it."""
    return MessageToJson(message, preserving_proto_field_name=True, indent=None)


def _check_prizes(config: PoolConfig) -> None:
    live = [prize for prize in config.prizes if not prize.retired]
    if len(live) > MAX_PRIZES:
        raise InvalidArgumentError("prizes", f"A pool has at most {MAX_PRIZES} prizes.")
    if len({prize.prize_id for prize in config.prizes}) < len(config.prizes):
        raise InvalidArgumentError("prize_id", "A prize is named twice.")
    if config.mode is Mode.ODDS and sum(p.weight for p in live if p.enabled) > PPB:
        raise InvalidArgumentError("weight", "The chances sum to more than 1.")
    if config.mode is not Mode.WEIGHTS and any(p.units == UNLIMITED for p in config.prizes):
        raise InvalidArgumentError("units", "Only a pool of mode WEIGHTS has unlimited units.")
    if any(p.units == UNLIMITED and not p.weight for p in live):
        raise InvalidArgumentError("weight", "Unlimited units need a fixed weight.")
    last_prizes = [prize for prize in live if prize.last_prize]
    if last_prizes and (config.mode is not Mode.TICKETS or len(last_prizes) > 1):
        raise InvalidArgumentError("last_prize", "Only a ticket pool has a last prize, and one.")


def _prize(message: pool_pb2.PoolPrize) -> PrizeConfig:
    return PrizeConfig(
        prize_id=_within("prize_id", message.prize_id, 1, _MAX_EXACT),
        units=_within("units", message.units, UNLIMITED, MAX_UNITS),
        weight=_within("weight", message.weight, 0, MAX_WEIGHT),
        enabled=message.enabled,
        wins_per_user=_at_least_zero("wins_per_user", message.wins_per_user),
        retired=message.retired,
        last_prize=message.last_prize,
        name=_text("name", message.name),
        image_url=_text("image_url", message.image_url),
    )


def _mode(value: int) -> Mode:
    if value not in Mode.__members__.values():
        raise InvalidArgumentError("mode", "A pool needs a mode.")
    return Mode(value)


def _status(value: int) -> PoolStatus:
    if value not in (PoolStatus.OPEN, PoolStatus.PAUSED, PoolStatus.ENDED):
        raise InvalidArgumentError("status", "A pool is open, paused or ended.")
    return PoolStatus(value)


def _confirm(value: int) -> Confirm:
    if value and value not in Confirm.__members__.values():
        raise InvalidArgumentError("confirm", "A win is confirmed by store, replica or record.")
    return Confirm(value or Confirm.STORE)


def _text(field: str, value: str) -> str:
    # Postgres holds none, and would refuse the ledger's entry long after it was made.
    if "\0" in value:
        raise InvalidArgumentError(field, f"{field} must not hold NUL characters.")
    return value


def _at_least_zero(field: str, value: int) -> int:
    return _within(field, value, 0, _MAX_EXACT)


def _within(field: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InvalidArgumentError(field, f"{field} is {low} to {high}.")
    return value
