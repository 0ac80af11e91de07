"""Configurations of a pool, as the ledger and pool_versions hold them."""

import json
from typing import NamedTuple

from google.protobuf import json_format
from kuji.draw.v1.pool_pb2 import PoolConfig, PoolStatus

from services.pool.ledger.entries import ConfigEntry


class HeldConfig(NamedTuple):
    """
    What a draw's row needs of the configuration that held.

    Args:
        activity_id: None for a blind box.
        prize_names: By prize id, retired prizes included.
        is_ended: Whether no draw can come after it.
    """

    activity_id: int | None
    prize_names: dict[int, str]
    is_ended: bool = False


def parse_config(config_json: str) -> PoolConfig:
    """A PoolConfig from its JSON; json_format.ParseError when it is none."""
    return json_format.Parse(config_json, PoolConfig(), ignore_unknown_fields=True)


def held_config(config_json: str) -> HeldConfig:
    """What rows need of a configuration."""
    config = parse_config(config_json)
    names = {prize.prize_id: prize.name for prize in config.prizes}
    is_ended = config.status == PoolStatus.POOL_STATUS_ENDED
    return HeldConfig(config.activity_id or None, names, is_ended)


def units_json(entry: ConfigEntry) -> str:
    """pool_versions.units: [[prize id, units in all, units left], …] as the ledger has them."""
    return json.dumps(entry.units)
