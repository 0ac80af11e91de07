"""Prize codes."""

from hypothesis import given
from hypothesis import strategies as st

from services.pool.prize_code import prize_code

_ids = st.integers(1, 2**63 - 1)
_tags = st.binary(min_size=4, max_size=4)


def test_code_is_pool_seq_and_tag_in_base_32() -> None:
    """Pool 1, draw 250: "1-7T", then the first 25 bits of the tag as five characters."""
    assert prize_code(1, 250, bytes(4)) == "1-7T-00000"
    assert prize_code(1, 250, b"\xff\xff\xff\xff") == "1-7T-ZZZZZ"


@given(_ids, _ids, _ids, _ids, _tags, _tags)
def test_codes_differ_when_draws_differ(  # two draws of three parts
    pool: int, seq: int, other_pool: int, other_seq: int, tag: bytes, other_tag: bytes
) -> None:
    """Codes of two draws are equal only if pool and seq are, whatever the tags."""
    if prize_code(pool, seq, tag) == prize_code(other_pool, other_seq, other_tag):
        assert (pool, seq) == (other_pool, other_seq)


@given(_ids, _ids, _tags)
def test_code_has_no_ambiguous_letters(pool: int, seq: int, tag: bytes) -> None:
    """No I, L, O or U: codes are read aloud and typed."""
    assert not set("ILOU") & set(prize_code(pool, seq, tag))
