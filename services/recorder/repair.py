"""Postgres brought up to a configuration that was published, but whose transaction was lost."""

from typing import Any

import structlog
from kuji.draw.v1.pool_pb2 import Confirm, PoolConfig, PoolStatus

from services.common.postgres import Connection, load_queries
from services.common.timestamps import NEVER_MS, datetime_of_ms
from services.pool.ledger.entries import ConfigEntry
from services.recorder.configs import parse_config

log = structlog.get_logger()
_queries = load_queries(__file__)


async def repair(connection: Connection, pool_id: int, entry: ConfigEntry) -> None:
    """
    Make the pool's activity and prizes equal to *entry*, within the caller's transaction.

    The administration publishes before it commits; what it could not commit any more, the
    ledger knows. Descriptions are not in the ledger: a prize that was lost comes back without.

    A change of goods is committed before it is published. So goods are behind a box's entry only
    where Postgres was put back; of the box itself, the finisher sees that it is behind its goods.
    """
    log.warning("repairing from the ledger", pool_id=pool_id, version=entry.version)
    config = parse_config(entry.config_json)
    activity_id = await _queries.repair_activity(connection, **_activity_columns(pool_id, config))
    if activity_id is not None:
        columns = _prize_columns(config, entry)
        await _queries.repair_prizes(
            connection, activity_id=activity_id, pool_id=pool_id, **columns
        )
        await _queries.pass_lost_prize_ids(connection, seen=max(columns["ids"], default=0))
    else:
        await _queries.repair_goods(connection, **_goods_columns(pool_id, config, entry))
        await _queries.repair_held(
            connection,
            pool_id=pool_id,
            ids=[prize.prize_id for prize in config.prizes],
            held=[prize.held_units for prize in config.prizes],
        )
    await _queries.set_version(connection, pool_id=pool_id, version=entry.version)
    await _queries.pass_lost_version(connection, version=entry.version)


def _activity_columns(pool_id: int, config: PoolConfig) -> dict[str, Any]:
    return {
        "pool_id": pool_id,
        "status": PoolStatus.Name(config.status).removeprefix("POOL_STATUS_").lower(),
        "start_time": datetime_of_ms(config.start_ms) if config.start_ms < NEVER_MS else None,
        "end_time": datetime_of_ms(config.end_ms) if config.end_ms else None,
        "cooldown_seconds": config.limits.cooldown_ms // 1000,
        "max_draws_per_user": config.limits.draws_per_user,
        "max_draws_per_day": config.limits.draws_per_day,
        "max_wins_per_user": config.limits.wins_per_user,
        "confirm": _confirm(config.confirm),
        "ticket_required": config.draw_tickets.required,
        "ticket_difficulty": config.draw_tickets.difficulty,
        "ticket_spread_ms": config.draw_tickets.spread_ms,
    }


def _goods_columns(pool_id: int, config: PoolConfig, entry: ConfigEntry) -> dict[str, Any]:
    # A box ends by itself once it is sold out; one that has units left ended with its goods.
    has_ended = config.status == PoolStatus.POOL_STATUS_ENDED
    is_sold_out = not any(
        [prize.remaining for prize in entry.units] + [prize.held_units for prize in config.prizes]
    )
    return {
        "pool_id": pool_id,
        "revision": config.goods_revision,
        "on_shelf": None if has_ended else config.status == PoolStatus.POOL_STATUS_OPEN,
        "is_ended": has_ended and not is_sold_out,
        "protection_seconds": config.protection_ms // 1000,
        "confirm": _confirm(config.confirm),
    }


def _confirm(value: Confirm.ValueType) -> str:
    known = value or Confirm.CONFIRM_STORE  # an older version told none
    return Confirm.Name(known).removeprefix("CONFIRM_").lower()


def _prize_columns(config: PoolConfig, entry: ConfigEntry) -> dict[str, Any]:
    units = {prize.prize_id: prize.units for prize in entry.units}
    prizes = config.prizes
    return {
        "changed_at": datetime_of_ms(entry.changed_ms),
        "ids": [prize.prize_id for prize in prizes],
        "names": [prize.name for prize in prizes],
        "image_urls": [prize.image_url for prize in prizes],
        "units": [units[prize.prize_id] for prize in prizes],
        "held": [0 if prize.retired else prize.held_units for prize in prizes],
        "weights": [prize.weight for prize in prizes],
        "user_limits": [prize.wins_per_user for prize in prizes],
        "enabled": [prize.enabled for prize in prizes],
        "retired": [prize.retired for prize in prizes],
    }
