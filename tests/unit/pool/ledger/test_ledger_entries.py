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
    PrizeUnits,
    decode_entry,
    encode_entry,
)

ids = st.integers(1, 2**53)
draws = st.builds(
    Draw,
    user_id=ids,
    request_id=st.binary(max_size=64),
    draw_index=st.integers(0, 100),
    draw_count=st.integers(1, 100),
    user_draw_no=st.integers(1, 2**31 - 1),
    prize_id=st.integers(0, 2**53),
    ticket=st.integers(0, 2**53),
    weight=st.integers(0, 2**53),
    total=st.integers(1, 2**53),
    tag=st.one_of(st.just(b""), st.binary(min_size=4, max_size=4)),
)
draw_entries = st.builds(
    DrawEntry, ids, ids, ids, st.lists(draws, min_size=1, max_size=5), st.just("ab" * 20)
)
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
