"""Prize codes come from a key of the draw service, and from nothing that is ever revealed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.draw.code_key import CodeKey
from services.pool.rule import engine
from services.pool.rule.prize_code import CODE_BYTES
from services.pool.rule.selection import PPB
from services.pool.rule.terms import PoolConfig
from tests.support.draws import CODE_KEY, NO_BACKLOG_BOUND, intent, odds, tickets

IDS = st.integers(1, (1 << 53) - 1)
REQUEST_IDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)
KEYS = st.binary(min_size=32, max_size=32)


@given(KEYS, IDS, IDS, REQUEST_IDS, st.integers(1, 100))
def test_codes_are_a_keyed_hash_of_each_draws_name(
    key: bytes, pool_id: int, user_id: int, request_id: str, draws: int
) -> None:
    """BLAKE2b with the key, in a domain of its own: a code for each draw and for a last prize."""
    codes = CodeKey(key.hex()).of_pool(pool_id).codes(user_id, request_id, draws)
    assert CODE_BYTES * (draws + 1) == len(codes)
    for index in (0, draws):
        dozen, place = divmod(index, 12)
        name = f"{pool_id}|{user_id}|{request_id}|{dozen}".encode()
        one = hashlib.blake2b(name, digest_size=60, key=key, person=b"kuji prize code").digest()
        code = codes[CODE_BYTES * index : CODE_BYTES * (index + 1)]
        assert one[CODE_BYTES * place : CODE_BYTES * (place + 1)] == code


@pytest.mark.parametrize("other", [(8, 42, "r"), (7, 43, "r"), (7, 42, "s")])
def test_codes_differ_when_pool_user_or_request_does(other: tuple[int, int, str]) -> None:
    """Each part of a draw's name decides its code."""
    key = CodeKey(CODE_KEY)
    pool_id, user_id, request_id = other
    codes = key.of_pool(7).codes(42, "r", 1)
    assert not _cut(codes) & _cut(key.of_pool(pool_id).codes(user_id, request_id, 1))


def test_codes_of_one_request_differ() -> None:
    """A hundred tickets and a last prize: 101 codes."""
    assert 101 == len(_cut(CodeKey(CODE_KEY).of_pool(7).codes(42, "r", 100)))


@pytest.mark.parametrize("config", [odds((99, PPB // 2)), tickets(3, 2, last_prize=True)])
def test_codes_follow_from_nothing_but_the_key(config: PoolConfig) -> None:
    """The same seed, and so the same rolls, tickets and prizes, but another key: other codes."""
    drawn = []
    for key in (CODE_KEY, "c1" * 32):
        state = engine.PoolState()
        engine.configure(state, 0, 1, config)
        wishes = [intent(user, "r", 1) for user in range(1, 6)]
        codes = [CodeKey(key).of_pool(1).codes(one.user_id, "r", 1) for one in wishes]
        intents = [one._replace(codes=code) for one, code in zip(wishes, codes, strict=True)]
        drawing = engine.draw(state, intents, 1, 0, NO_BACKLOG_BOUND)
        drawn.append([one for answer in drawing.answers for one in answer.draws])
    mine, theirs = ([one for one in draws if one.prize_id] for draws in drawn)
    assert [one[:-1] for one in drawn[0]] == [one[:-1] for one in drawn[1]]
    assert mine
    assert not {one.code_bytes for one in mine} & {one.code_bytes for one in theirs}


def _cut(codes: bytes) -> set[bytes]:
    return {codes[at : at + CODE_BYTES] for at in range(0, len(codes), CODE_BYTES)}
