"""Prize codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pool.rule.prize_code import code_prefix, prize_code

_ids = st.integers(1, 2**63 - 1)
_code_bytes = st.binary(min_size=5, max_size=5)
_any_code_bytes = st.one_of(_code_bytes, st.binary(min_size=4, max_size=4))


def test_code_is_pool_seq_and_forty_secret_bits_in_base_32() -> None:
    """Pool 1, draw 250: "1-7T", then five bytes as eight characters."""
    assert "1-7T-00000000" == prize_code(1, 250, bytes(5))
    assert "1-7T-0000000Z" == prize_code(1, 250, b"\0\0\0\0\x1f")
    assert "1-7T-ZZZZZZZZ" == prize_code(1, 250, b"\xff" * 5)


def test_code_of_an_old_draw_stays_what_it_was() -> None:
    """Four bytes gave five characters, of their first 25 bits: such codes are in people's hands."""
    assert "1-7T-00000" == prize_code(1, 250, bytes(4))
    assert "1-7T-ZZZZZ" == prize_code(1, 250, b"\xff\xff\xff\xff")


@pytest.mark.parametrize("size", [0, 3, 6, 32])
def test_code_is_not_made_of_too_few_bytes_or_too_many(size: int) -> None:
    """A draw without its bytes gets no code at all, rather than one that all such draws have."""
    with pytest.raises(ValueError, match=f"is not made of {size} bytes"):
        prize_code(1, 250, bytes(size))


@given(_ids, _ids, _code_bytes, _code_bytes)
def test_every_secret_bit_counts(pool: int, seq: int, one: bytes, other: bytes) -> None:
    """Of one draw, other bytes are another code, and all of them begin alike."""
    codes = {prize_code(pool, seq, one), prize_code(pool, seq, other)}
    assert len({one, other}) == len(codes)
    assert all(code.startswith(code_prefix(pool, seq)) for code in codes)


@given(_ids, _ids, _ids, _ids, _any_code_bytes, _any_code_bytes)
def test_codes_differ_when_draws_differ(  # two draws of three parts
    pool: int, seq: int, other_pool: int, other_seq: int, one: bytes, other: bytes
) -> None:
    """Codes of two draws are equal only if pool and seq are, whatever the bytes."""
    if prize_code(pool, seq, one) == prize_code(other_pool, other_seq, other):
        assert (pool, seq) == (other_pool, other_seq)


@given(_ids, _ids, _any_code_bytes)
def test_code_has_no_ambiguous_letters(pool: int, seq: int, code_bytes: bytes) -> None:
    """No I, L, O or U: codes are read aloud and typed."""
    assert not set("ILOU") & set(prize_code(pool, seq, code_bytes))
