"""Rolls follow from the seed, as anyone computes them."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pool.rule.fairness import Roller, commitment, new_seed, request_digest, roll_text

SEED = bytes(range(32))
IDS = st.integers(1, (1 << 53) - 1)
REQUEST_IDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)


@given(st.binary(min_size=32, max_size=32), IDS, IDS, REQUEST_IDS, st.integers(0, 99))
def test_roll_equals_the_standard_hmac_for_any_draw(
    seed: bytes, pool_id: int, user_id: int, request_id: str, index: int
) -> None:
    """A roll is HMAC-SHA256(seed, "pool|user|request|index"), as every library computes it."""
    message = f"{pool_id}|{user_id}|{request_id}|{index}".encode()
    assert message == roll_text(pool_id, user_id, request_id, index).encode()
    roll = Roller(seed, pool_id).roll(user_id, request_id, index)
    assert hmac.digest(seed, message, "sha256") == roll


def test_roll_equals_the_published_value() -> None:
    """A known answer, computed elsewhere (openssl dgst -sha256 -mac HMAC): it never changes."""
    expected = "2b03e30560b96146a9ebfd0ccd0cd1dc6156ca76af736508e10e355271c3f206"
    assert expected == Roller(SEED, 7).roll(42, "spring-1", 0).hex()


def test_commitment_equals_the_published_value() -> None:
    """The commitment is SHA-256 of the seed's 32 bytes."""
    expected = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
    assert expected == commitment(SEED).hex()


def test_rolls_are_those_of_the_single_draws_in_order() -> None:
    """A draw of n has the rolls 0 … n − 1, one after the other."""
    roller = Roller(SEED, 7)
    assert b"".join(roller.roll(42, "r", i) for i in range(5)) == roller.rolls(42, "r", 5)


def test_rolls_do_not_depend_on_those_made_before() -> None:
    """The shared halves of the HMAC are not spent by a roll."""
    used = Roller(SEED, 7)
    used.roll(1, "x", 3)
    assert Roller(SEED, 7).roll(42, "r", 0) == used.roll(42, "r", 0)


@pytest.mark.parametrize(
    "other", [(8, 42, "r", 0), (7, 43, "r", 0), (7, 42, "s", 0), (7, 42, "r", 1)]
)
def test_roll_differs_when_pool_user_request_or_place_does(
    other: tuple[int, int, str, int],
) -> None:
    """Each part of a draw's identity decides its roll."""
    pool_id, *draw = other
    assert Roller(SEED, 7).roll(42, "r", 0) != Roller(SEED, pool_id).roll(*draw)  # type: ignore[arg-type]


def test_new_seed_is_fresh_each_time() -> None:
    """32 bytes that nobody has seen."""
    seeds = {new_seed() for _ in range(100)}
    assert (100, {32}) == (len(seeds), {len(seed) for seed in seeds})


def test_request_digest_tells_users_apart_when_their_request_ids_are_equal() -> None:
    """A request id is its user's own; the digest is 16 bytes of BLAKE2b."""
    expected = hashlib.blake2b(b"1|r", digest_size=16).digest()
    assert expected == request_digest(1, "r")
    assert request_digest(1, "r") != request_digest(2, "r")
