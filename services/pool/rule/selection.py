"""
Which prize a roll gives: the one rule of selection, in pure integers.

The same rule runs in Redis as lua/include/selection.lua; one table of cases holds both.
"""

import hashlib
from collections.abc import Sequence
from enum import IntEnum

ROLL_BYTES = 32
TWO_48 = 1 << 48
PPB = 1_000_000_000
_CANDIDATE_BYTES = 6


class Mode(IntEnum):
    """Where the weights come from; see kuji.draw.v1.PoolMode."""

    ODDS = 1
    TICKETS = 2
    WEIGHTS = 3


def uniform(roll: bytes, total: int) -> int:
    """
    A uniform integer in [0, *total*), without modulo bias.

    The first six-byte big-endian candidate below the largest multiple of *total* counts. A
    roll offers four; past them come the three of its SHA-1, of that one's, and so on.

    Args:
        roll: 32 uniform bytes.
        total: 1 … 2^47, so that at least every second candidate counts.

    Source: rejection sampling, Lemire 2019, "Fast random integer generation in an interval", §3.
    """
    limit = TWO_48 - TWO_48 % total
    candidates = roll[:24]
    while True:
        for at in range(0, len(candidates) - 5, _CANDIDATE_BYTES):
            number = int.from_bytes(candidates[at : at + _CANDIDATE_BYTES])
            if number < limit:
                return number % total
        roll = hashlib.sha1(roll, usedforsecurity=False).digest()
        candidates = roll[:18]


def select(weights: Sequence[int], ticket: int) -> int | None:
    """
    Pick the prize whose interval holds *ticket*.

    Args:
        weights: Shape (n,), n ≤ 256, each ≥ 0: parts per billion, or tickets.
        ticket: Uniform integer in [0, total).

    Returns:
        Index into *weights*, or None when *ticket* lies past their sum (a miss).

    Source: inversion by sequential search, Devroye 1986, ch. III.2.
    """
    for index, weight in enumerate(weights):
        ticket -= weight
        if ticket < 0:
            return index
    return None


def weight_of(mode: Mode, weight: int, units_left: int | None) -> int:
    """
    The weight of a prize at this moment.

    Args:
        mode: Where weights come from.
        weight: As configured: parts per billion, or a fixed weight (0: none).
        units_left: None where the stock is unlimited.
    """
    if units_left == 0:
        return 0
    if mode is Mode.TICKETS or (mode is Mode.WEIGHTS and weight == 0):
        return units_left or 0
    return weight
