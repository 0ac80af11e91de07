"""The ledger stream's entries as typed records; docs/redis-keys.md is the format's contract."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack

from services.common.orders import GoodslistType
from services.pool.rule.prize_code import CODE_BYTES, OLD_CODE_BYTES
from services.pool.store.layout import EntryField, PackedOrder, unpack_orders

# Replies are bytes.
_DRAWS, _CODES, _CONFIG, _UNITS, _TIME, _LINK, _AWAITED, _ORDERS = (
    field.encode()
    for field in (
        EntryField.DRAWS,
        EntryField.CODES,
        EntryField.CONFIG,
        EntryField.UNITS,
        EntryField.TIME,
        EntryField.LINK,
        EntryField.AWAITED,
        EntryField.ORDERS,
    )
)
_PRIZE_ID = 5  # of a draw's places


class MalformedEntryError(ValueError):
    """A stream entry is not what docs/redis-keys.md says."""


class Draw(NamedTuple):
    """
    One draw of an entry.

    Args:
        user_id: Who drew.
        request_id: Printable ASCII, as bytes.
        draw_index: Place within a draw of n, from 0; a last prize comes as one more, index n.
        draw_count: The n.
        user_draw_no: Which draw of this user in the pool it is: 1, 2, 3, …
        prize_id: 0: a miss.
        ticket: The number drawn, 0 … total − 1.
        weight: Weight of this outcome then.
        total: All weights then.
        code_bytes: What its prize code is made of, secret: 5 bytes, 4 in old entries; empty for a
            miss.
    """

    user_id: int
    request_id: bytes
    draw_index: int
    draw_count: int
    user_draw_no: int
    prize_id: int
    ticket: int
    weight: int
    total: int
    code_bytes: bytes

    @property
    def is_new_user(self) -> bool:
        """Whether its user drew here for the first time; a last prize draws no further."""
        return self.user_draw_no == 1 and not self.is_last_prize

    @property
    def goodslist_type(self) -> GoodslistType:
        """Of a box's: ordinary, or its last prize."""
        return GoodslistType.LAST_PRIZE if self.is_last_prize else GoodslistType.ORDINARY

    @property
    def is_last_prize(self) -> bool:
        """Whether it came with the last ticket, and took none itself."""
        return self.draw_index == self.draw_count


class OrderNote(NamedTuple):
    """
    What an entry knows of an order besides its draws.

    Args:
        user_id: Whose it is.
        draw_request_id: The request id of its draws.
        order_id: As Postgres gave it.
        request_id: Its caller's name for it; empty for a shop's.
    """

    user_id: int
    draw_request_id: bytes
    order_id: int
    request_id: bytes


class DrawEntry(NamedTuple):
    """
    Draws of one script call: seq first_seq … last_seq, in order.

    Args:
        last_seq: Of the last draw.
        drawn_ms: Unix milliseconds by the store's clock.
        version: Configuration that held.
        draws: At least one.
        link: 40 hexadecimal digits that bind it to all entries before it.
        announced: Whether its wins may be announced from here; else only once they are recorded.
        orders: What its draws were ordered by, in order; none in lotteries, and in old entries.
    """

    last_seq: int
    drawn_ms: int
    version: int
    draws: Sequence[Draw]
    link: str = ""
    announced: bool = True
    orders: Sequence[OrderNote] = ()

    @property
    def first_seq(self) -> int:
        """Of the first draw."""
        return self.last_seq - len(self.draws) + 1

    @property
    def stream_id(self) -> str:
        """Its id in the stream."""
        return f"{self.last_seq}-0"


class PrizeUnits(NamedTuple):
    """A prize's units in all and units left after a change; −1: unlimited."""

    prize_id: int
    units: int
    remaining: int


class ConfigEntry(NamedTuple):
    """
    A configuration: it holds for the draws after *after_seq*.

    Args:
        after_seq: Newest draw before it.
        version: Of the configuration.
        config_json: kuji.draw.v1.PoolConfig as JSON.
        units: What resulted, retired prizes included.
        changed_ms: Unix milliseconds by the store's clock.
        link: 40 hexadecimal digits that bind it to all entries before it.
    """

    after_seq: int
    version: int
    config_json: str
    units: Sequence[PrizeUnits]
    changed_ms: int
    link: str = ""

    @property
    def stream_id(self) -> str:
        """Its id in the stream."""
        return f"{self.after_seq}-{self.version}"


Entry = DrawEntry | ConfigEntry


def decode_entry(stream_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """
    An entry as XREAD and XRANGE give it (responses not decoded).

    Raises:
        MalformedEntryError: It is not what docs/redis-keys.md says.
    """
    try:
        number, _, version = stream_id.partition(b"-")
        if _DRAWS in fields:
            return _decode_draws(int(number), fields)
        return _decode_config(int(number), int(version), fields)
    except (LookupError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise MalformedEntryError(f"ledger entry {stream_id!r}: {error!r}") from error


def _decode_draws(last_seq: int, fields: Mapping[bytes, bytes]) -> DrawEntry:
    # raw: code bytes are no text, and Lua's MessagePack does not tell text from bytes.
    drawn_ms, version, draws = msgpack.unpackb(fields[_DRAWS], raw=True, use_list=False)
    if not draws:
        raise ValueError("no draws")
    is_old = len(draws[0]) == len(Draw._fields)
    decoded = _old_draws(draws) if is_old else _draws(draws, fields.get(_CODES, b""))
    link, announced = _link(fields), not is_awaited(fields)
    orders = _orders(decoded, fields.get(_ORDERS, b""))
    return DrawEntry(last_seq, drawn_ms, version, decoded, link, announced, orders)


def is_awaited(fields: Mapping[bytes, bytes]) -> bool:
    """Whether the wins of an entry are told to nobody before they are recorded."""
    return _AWAITED in fields


def _draws(draws: Sequence[Sequence[Any]], codes: bytes) -> list[Draw]:
    if len(codes) != CODE_BYTES * sum(bool(draw[_PRIZE_ID]) for draw in draws):
        raise ValueError(f"{len(codes)} bytes are not the codes of its winners")
    cut = iter([codes[at : at + CODE_BYTES] for at in range(0, len(codes), CODE_BYTES)])
    return [Draw._make((*draw, next(cut) if draw[_PRIZE_ID] else b"")) for draw in draws]


def _orders(draws: Sequence[Draw], packed: bytes) -> Sequence[OrderNote]:
    if not packed:
        return ()
    firsts = [draw for draw in draws if draw.draw_index == 0]
    return [
        OrderNote(first.user_id, first.request_id, *order)
        for first, order in zip(firsts, unpack_orders(packed), strict=True)
    ]


def _old_draws(draws: Sequence[Sequence[Any]]) -> list[Draw]:
    """Draws that have their code bytes among them, as entries had before codes had a field."""
    decoded = list(map(Draw._make, draws))
    if any(len(draw.code_bytes) != OLD_CODE_BYTES for draw in decoded if draw.prize_id):
        raise ValueError("a winner without a code")
    return decoded


def _link(fields: Mapping[bytes, bytes]) -> str:
    return fields.get(_LINK, b"").decode()


def _decode_config(after_seq: int, version: int, fields: Mapping[bytes, bytes]) -> ConfigEntry:
    units = msgpack.unpackb(fields[_UNITS], use_list=False)
    return ConfigEntry(
        after_seq,
        version,
        fields[_CONFIG].decode(),
        list(map(PrizeUnits._make, units)),
        int(fields[_TIME]),
        _link(fields),
    )


def encode_entry(entry: Entry) -> tuple[str, dict[Any, Any]]:
    """The inverse: id and fields for XADD, as the scripts of the draw service write them."""
    if isinstance(entry, DrawEntry):
        body = [entry.drawn_ms, entry.version, [draw[:-1] for draw in entry.draws]]
        return entry.stream_id, {
            EntryField.DRAWS: msgpack.packb(body, use_bin_type=False),
            EntryField.LINK: entry.link,
            EntryField.CODES: b"".join(draw.code_bytes for draw in entry.draws),
            **({} if entry.announced else {EntryField.AWAITED: 0}),
            **({EntryField.ORDERS: _packed_orders(entry)} if entry.orders else {}),
        }
    return entry.stream_id, {
        EntryField.CONFIG: entry.config_json,
        EntryField.UNITS: msgpack.packb(entry.units),
        EntryField.TIME: entry.changed_ms,
        EntryField.LINK: entry.link,
    }


def _packed_orders(entry: DrawEntry) -> bytes:
    return b"".join(PackedOrder(note.order_id, note.request_id).pack() for note in entry.orders)
