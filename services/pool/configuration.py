"""A pool's configuration from the wire: its bounds are its proto's, what ties fields is here."""

from google.protobuf.json_format import MessageToJson
from kuji.draw.v1 import pool_pb2

from services.common.bounds import check
from services.common.errors import InvalidArgumentError
from services.pool.rule.selection import PPB, Mode
from services.pool.rule.terms import (
    UNLIMITED,
    Confirm,
    PoolConfig,
    PoolStatus,
    PrizeConfig,
    TicketPolicy,
)

MAX_PRIZES = 256


def config_of(message: pool_pb2.PoolConfig) -> PoolConfig:
    """*message* as the engine takes it; InvalidArgumentError names the field that is unfit."""
    check(message)
    limits = message.limits
    config = PoolConfig(
        mode=Mode(message.mode),
        prizes=tuple(_prize(prize) for prize in message.prizes),
        status=PoolStatus(message.status),
        start_ms=message.start_ms,
        end_ms=message.end_ms,
        cooldown_ms=limits.cooldown_ms,
        draws_per_user=limits.draws_per_user,
        draws_per_day=limits.draws_per_day,
        wins_per_user=limits.wins_per_user,
        day_offset_ms=limits.day_offset_minutes * 60_000,
        activity_id=message.activity_id,
        protection_ms=message.protection_ms,
        confirm=Confirm(message.confirm or Confirm.STORE),
        draw_tickets=TicketPolicy(
            required=message.draw_tickets.required,
            difficulty=message.draw_tickets.difficulty,
            spread_ms=message.draw_tickets.spread_ms,
        ),
    )
    _check_prizes(config)
    return config


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
        prize_id=message.prize_id,
        units=message.units,
        weight=message.weight,
        enabled=message.enabled,
        wins_per_user=message.wins_per_user,
        retired=message.retired,
        last_prize=message.last_prize,
        name=message.name,
        image_url=message.image_url,
    )
