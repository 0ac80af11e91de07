"""The ledger's entries, decoded and encoded."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pool.ledger.entries import (
    ConfigEntry,
    Draw,
    DrawEntry,
    MalformedEntryError,
    OrderNote,
    PrizeUnits,
    decode_entry,
    encode_entry,
)

ids = st.integers(1, 2**53)


def draws(code_bytes: int) -> st.SearchStrategy[Draw]:
    """Draws, misses among them, whose winners have codes of that many bytes."""
    misses = st.tuples(st.just(0), st.just(b""))
    wins = st.tuples(ids, st.binary(min_size=code_bytes, max_size=code_bytes))
    parts = st.tuples(
        ids,
        st.binary(max_size=64),
        st.integers(0, 100),
        st.integers(1, 100),
        st.integers(1, 2**31 - 1),
        st.one_of(misses, wins),
        st.integers(0, 2**53),
        st.integers(0, 2**53),
        st.integers(1, 2**53),
    )
    return parts.map(lambda p: Draw._make((*p[:5], p[5][0], *p[6:], p[5][1])))


def entries_of(draws: st.SearchStrategy[Draw]) -> st.SearchStrategy[DrawEntry]:
    """Entries of one to five *draws*."""
    some = st.lists(draws, min_size=1, max_size=5)
    return st.builds(DrawEntry, ids, ids, ids, some, st.just("ab" * 20), st.booleans(), st.just(()))


draw_entries = entries_of(draws(code_bytes=5))
config_entries = st.builds(
    ConfigEntry,
    ids,
    ids,
    st.text(),
    st.lists(st.builds(PrizeUnits, ids, st.integers(-1, 10**9), st.integers(-1, 10**9))),
    ids,
    st.just("cd" * 20),
)


def as_read(fields: dict[object, object]) -> dict[bytes, bytes]:
    """*fields* as Redis gives back what XADD took."""
    return {
        str(name).encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in fields.items()
    }


@given(st.one_of(draw_entries, config_entries))
def test_entry_is_itself_again_when_encoded_and_decoded(entry: DrawEntry | ConfigEntry) -> None:
    """What is written is what is read, for every value the fields may have."""
    stream_id, fields = encode_entry(entry)
    assert entry == decode_entry(stream_id.encode(), as_read(fields))


@given(entries_of(draws(code_bytes=4)))
def test_old_entry_is_read_with_the_codes_among_its_draws(entry: DrawEntry) -> None:
    """What was written before codes had a field of their own is recorded as it was answered."""
    packed = msgpack.packb([entry.drawn_ms, entry.version, entry.draws], use_bin_type=False)
    fields = {b"d": packed, b"h": entry.link.encode()}
    assert entry._replace(announced=True) == decode_entry(entry.stream_id.encode(), fields)


@given(draw_entries)
def test_codes_are_apart_from_what_is_chained(entry: DrawEntry) -> None:
    """With other codes, all of the entry is the same but the field g."""
    other = [
        draw._replace(code_bytes=bytes(255 - byte for byte in draw.code_bytes))
        for draw in entry.draws
    ]
    (_, mine), (_, theirs) = encode_entry(entry), encode_entry(entry._replace(draws=other))
    assert (mine.pop("g") == theirs.pop("g")) == all(not draw.prize_id for draw in entry.draws)
    assert mine == theirs


def test_first_seq_counts_back_from_the_last() -> None:
    """The seq of draw k of m is last − m + 1 + k."""
    draw = Draw(1, b"r", 0, 1, 1, 0, 0, 1, 1, b"")
    assert 8 == DrawEntry(10, 0, 1, [draw] * 3).first_seq


@pytest.mark.parametrize(
    ("stream_id", "fields"),
    [
        (b"1-0", {}),
        (b"1-0", {b"d": b"\xc1"}),
        (b"1-0", {b"d": msgpack.packb([1, 2])}),
        (b"1-0", {b"d": msgpack.packb([1, 2, []])}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1, b"r"]]])}),
        (b"x-0", {b"d": msgpack.packb([1, 2, [[1] * 10]])}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1] * 9]])}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1] * 9]]), b"g": b"four"}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1] * 9]]), b"g": b"of two, ten"[:10]}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[0] * 9]]), b"g": b"extra"}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1] * 8]]), b"g": b"fives"}),
        (b"1-0", {b"d": msgpack.packb([1, 2, [[1] * 9 + [b""]]])}),
        (b"1-2", {b"c": b"{}", b"u": msgpack.packb([]), b"t": b"soon"}),
        (b"1-2", {b"c": b"{}", b"u": msgpack.packb([[1]]), b"t": b"1"}),
        (b"1-2", {b"c": b"\xff", b"u": msgpack.packb([]), b"t": b"1"}),
    ],
)
def test_decoding_fails_when_entry_is_malformed(
    stream_id: bytes, fields: dict[bytes, bytes]
) -> None:
    """No entry is half understood."""
    with pytest.raises(MalformedEntryError):
        decode_entry(stream_id, fields)


def test_orders_come_with_their_draws_outside_what_is_chained() -> None:
    """One order a draw of n, in order; entries without the field are read as before."""
    first, second = (Draw(7, b"order:a", n, 2, n + 1, 5, 1, 1, 9, b"12345") for n in range(2))
    other = Draw(8, b"card:3", 0, 1, 1, 5, 1, 1, 9, b"54321")
    notes = [OrderNote(7, b"order:a", 2**52, b""), OrderNote(8, b"card:3", 12, b"mine")]
    entry = DrawEntry(3, 99, 1, [first, second, other], orders=notes)
    stream_id, fields = encode_entry(entry)
    read = as_read(fields)
    assert entry == decode_entry(stream_id.encode(), read)
    without = {name: value for name, value in read.items() if name != b"o"}
    assert entry._replace(orders=()) == decode_entry(stream_id.encode(), without)
    assert fields["d"] == encode_entry(entry._replace(orders=()))[1]["d"]


def test_entry_is_malformed_when_orders_are_not_those_of_its_draws() -> None:
    """An order too few or too many is given to nobody."""
    draw = Draw(7, b"order:a", 0, 1, 1, 5, 1, 1, 9, b"12345")
    note = OrderNote(7, b"order:a", 2, b"")
    stream_id, fields = encode_entry(DrawEntry(1, 99, 1, [draw], orders=[note, note]))
    with pytest.raises(MalformedEntryError):
        decode_entry(stream_id.encode(), as_read(fields))
