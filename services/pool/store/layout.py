"""
What stands where in Redis: the one definition, for Python and, by name, for the scripts.

docs/redis-keys.md says what each part means. Scripts say LUA_NAMES' names instead of numbers, and
scripts.py declares those that they use.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import NamedTuple, cast

import msgpack

from services.pool.rule.clock import BOUND_US
from services.pool.rule.prize_code import CODE_BYTES
from services.pool.rule.selection import PPB, ROLL_BYTES, TWO_48, Mode
from services.pool.rule.terms import (
    DAY_MS,
    UNLIMITED,
    Blocked,
    ConfigureCode,
    Confirm,
    DrawCode,
    DrawTicket,
    Intent,
    PoolConfig,
    PoolStatus,
    PrizeConfig,
    Quota,
    TicketPolicy,
)


class StateField(StrEnum):
    """Fields of the hash {p:<id>}:state."""

    SEQ = "seq"
    VERSION = "version"
    REQ_DAY = "req_day"
    LAST_MS = "last_ms"
    LAST_USER = "last_user"
    CHAIN = "chain"
    REQ_HALF = "req_half"
    CLOCK_US = "clock_us"
    SKIPPED = "skipped"
    SKIPPED_TO = "skipped_to"
    OPENED_MS = "opened_ms"
    LATE = "late"


class EntryField(StrEnum):
    """Fields of an entry of the stream {p:<id>}:ledger."""

    DRAWS = "d"
    CONFIG = "c"
    UNITS = "u"
    TIME = "t"
    LINK = "h"
    CODES = "g"
    AWAITED = "a"  # its wins are told once they are recorded
    ORDERS = "o"  # what its draws were ordered by


class BlocksField(StrEnum):
    """Fields of the hash kuji:blocks that are no user."""

    # The run of the store in which the list was put back: in another run it is lost, or may be
    # older than what was answered.
    LOADED = "loaded"
    # A name of what the ranges are now: another one after each change of them.
    NETWORKS = "networks"


class BlockListState(NamedTuple):
    """
    What a caller of the draw script knows of the list of blocks.

    Args:
        loaded: The run that it was put back in; None: in whichever.
        networks: What names its ranges; None: nothing does.
    """

    loaded: str | None
    networks: str | None

    def pack(self) -> bytes:
        """As an argument of the script."""
        return _packed(self)


class AnswerColumns(NamedTuple):
    """
    What the draw script answers: one element an intent in each column.

    Args:
        code: DrawCode.
        number: DRAWN, REPLAYED: place of its first draw in the ledger; else the detail of Answer.
        places, draws_left, next_ms: See Answer.
    """

    code: Sequence[int]
    number: Sequence[int]
    places: Sequence[int]
    draws_left: Sequence[int]
    next_ms: Sequence[int]


class DrawnColumns(NamedTuple):
    """What it drew: one element a draw in each column, but for the code bytes: one a winner."""

    prize_id: Sequence[int]
    ticket: Sequence[int]
    weight: Sequence[int]
    total: Sequence[int]
    code_bytes: Sequence[bytes]


class Known(NamedTuple):
    """
    What a caller of the scripts knows apart from the store.

    Args:
        seq: Newest draw that was answered; a store behind it is older.
        clock_us: The pool's time at the newest change that was answered; likewise.
        last_seq: Past it no draw begins: further ids have to be reserved first.
        earliest_us, latest_us: What the store's clock may show, see rule/clock.py.
    """

    seq: int
    clock_us: int
    last_seq: int
    earliest_us: int
    latest_us: int

    def pack(self) -> bytes:
        """As a script's last argument."""
        return _packed(self)


class PackedPrize(NamedTuple):
    """A prize in {p:<id>}:config; see PrizeConfig."""

    id: int
    weight: int
    enabled: bool
    wins_per_user: int
    units: int
    is_last: bool


class PackedConfig(NamedTuple):
    """{p:<id>}:config; see PoolConfig. What old ones lack has a default, and is nil in a script."""

    version: int
    mode: int
    status: int
    start_ms: int
    end_ms: int
    cooldown_ms: int
    draws_per_user: int
    draws_per_day: int
    wins_per_user: int
    day_offset_ms: int
    prizes: Sequence[PackedPrize]
    retired_prizes: Sequence[PackedPrize]
    protection_ms: int = 0
    confirm: int = Confirm.STORE
    ticket_required: bool = False
    ticket_difficulty: int = 0
    ticket_spread_ms: int = 0


_TICKET_FIELDS = ("ticket_required", "ticket_difficulty", "ticket_spread_ms")


class PackedUser(NamedTuple):
    """A value of {p:<id>}:users; see UserState. wins_of: prize id as text → wins."""

    last_ms: int
    draws: int
    day: int
    day_draws: int
    wins: int
    wins_of: Mapping[str, int]

    def pack(self) -> bytes:
        """As the hash holds it."""
        return _packed(self)


class PackedRequest(NamedTuple):
    """A value of {p:<id>}:req:0 and req:1; places 0: it is void."""

    first_seq: int
    places: int
    draws: int

    def pack(self) -> bytes:
        """As the hash holds it."""
        return _packed(self)


class PackedOrder(NamedTuple):
    """
    What the ledger knows of an order besides its draws: enough to write the order again.

    Args:
        order_id: As Postgres gave it.
        request_id: The caller's name for it, as bytes; empty for a shop's.
    """

    order_id: int
    request_id: bytes

    def pack(self) -> bytes:
        """As the ledger's entry holds it, one after the other."""
        return _packed(self)


def unpack_orders(packed: bytes) -> list[PackedOrder]:
    """What a field ORDERS holds."""
    orders = msgpack.Unpacker(raw=True)
    orders.feed(packed)
    return [PackedOrder(*order) for order in orders]


def pack_config(version: int, config: PoolConfig) -> bytes:
    """*config* as {p:<id>}:config holds it."""
    tickets = config.draw_tickets
    fields = PackedConfig(
        version,
        config.mode,
        config.status,
        config.start_ms,
        config.end_ms,
        config.cooldown_ms,
        config.draws_per_user,
        config.draws_per_day,
        config.wins_per_user,
        config.day_offset_ms,
        [_prize(prize) for prize in config.prizes if not prize.retired],
        [_prize(prize) for prize in config.prizes if prize.retired],
        config.protection_ms,
        config.confirm,
        tickets.required,
        tickets.difficulty,
        tickets.spread_ms,
    )
    # Left out where nothing is asked, so that processes of the version before understand it.
    return _packed(fields if tickets != TicketPolicy() else fields[: -len(_TICKET_FIELDS)])


def unpack_config(packed: bytes) -> PackedConfig:
    """What {p:<id>}:config holds."""
    config = PackedConfig(*msgpack.unpackb(packed, raw=True))
    return config._replace(
        prizes=[PackedPrize(*prize) for prize in config.prizes],
        retired_prizes=[PackedPrize(*prize) for prize in config.retired_prizes],
    )


def _prize(prize: PrizeConfig) -> PackedPrize:
    return PackedPrize(
        prize.prize_id,
        prize.weight,
        prize.enabled,
        prize.wins_per_user,
        prize.units,
        prize.last_prize,
    )


def _packed(fields: Sequence[object]) -> bytes:
    return cast(bytes, msgpack.packb(fields))


def _places(prefix: str, fields: Iterable[str]) -> dict[str, int | str]:
    return {f"{prefix}_{name.upper()}": place for place, name in enumerate(fields, start=1)}


def _members(prefix: str, codes: type[IntEnum] | type[StrEnum]) -> dict[str, int | str]:
    return {f"{prefix}_{code.name}": code.value for code in codes}


# Arrays count from 1 in Lua.
LUA_NAMES: Mapping[str, int | str] = {
    **_places("CONFIG", PackedConfig._fields),
    **_places("PRIZE", PackedPrize._fields),
    **_places("USER", PackedUser._fields),
    **_places("REQUEST", PackedRequest._fields),
    **_places("INTENT", Intent._fields),
    **_places("BLOCKED", Blocked._fields),
    **_places("LIST", BlockListState._fields),
    **_places("ANSWER", AnswerColumns._fields),
    **_places("DRAWN", DrawnColumns._fields),
    **_places("TICKET", DrawTicket._fields),
    **_places("KNOWN", Known._fields),
    **_members("STATE", StateField),
    **_members("ENTRY", EntryField),
    **_members("BLOCKS", BlocksField),
    **_members("MODE", Mode),
    **_members("STATUS", PoolStatus),
    **_members("QUOTA", Quota),
    **_members("CONFIRM", Confirm),
    **_members("CODE", DrawCode),
    **_members("CONFIGURE", ConfigureCode),
    "CLOCK_BOUND_US": BOUND_US,
    "DAY_MS": DAY_MS,
    "PPB": PPB,
    "ROLL_BYTES": ROLL_BYTES,
    "SECRET_BYTES": CODE_BYTES,
    "TWO_48": TWO_48,
    "UNLIMITED": UNLIMITED,
}
