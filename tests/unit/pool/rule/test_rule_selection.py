"""The rule of selection, in Python and in Lua."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.pool.rule.selection import Mode, select, uniform, weight_of
from services.pool.store.scripts import assemble

CASES = json.loads(Path(__file__).with_name("selection_cases.json").read_text())["cases"]
_LUA = """
local asked, answers = cmsgpack.unpack(ARGV[1]), {}
for i, case in ipairs(asked) do
  local ticket = uniform(case[1], case[3])
  answers[i] = { ticket, pick(case[2], ticket) or 0 }
end
return cmsgpack.pack(answers)
"""

Case = tuple[bytes, Sequence[int], int]


async def in_lua(redis: Redis, cases: Sequence[Case]) -> list[tuple[int, int | None]]:
    source = assemble(f"--@layout\n--@include selection\n{_LUA}").source
    packed = msgpack.packb(cases, use_bin_type=False)
    reply = cast(bytes, await redis.execute_command("EVAL", source, 0, packed))  # type: ignore[no-untyped-call]
    answers: list[Any] = msgpack.unpackb(reply)
    return [(ticket, index - 1 if index else None) for ticket, index in answers]


def in_python(case: Case) -> tuple[int, int | None]:
    roll, weights, total = case
    ticket = uniform(roll, total)
    return ticket, select(weights, ticket)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_both_engines_agree_with_the_table(case: dict[str, Any], redis: Redis) -> None:
    """Every row of the table holds in Python and in Lua."""
    asked = (bytes.fromhex(case["roll"]), case["weights"], case["total"])
    expected = (case["ticket"], case["index"])
    assert expected == in_python(asked)
    assert [expected] == await in_lua(redis, [asked])


@given(
    rolls=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20),
    weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=256),
    total_is_ppb=st.booleans(),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_both_engines_agree_on_any_roll(
    redis_url: str, rolls: list[bytes], weights: list[int], total_is_ppb: bool
) -> None:
    """For any roll and any weights, Lua gives the very ticket and prize that Python gives."""
    total = 10**9 if total_is_ppb else max(1, sum(weights))
    cases: list[Case] = [(roll, weights, total) for roll in rolls]

    async def ask() -> list[tuple[int, int | None]]:
        async with Redis.from_url(redis_url) as redis:
            return await in_lua(redis, cases)

    assert [in_python(case) for case in cases] == asyncio.run(ask())


@given(roll=st.binary(min_size=32, max_size=32), total=st.integers(1, 2**47))
@settings(max_examples=500, derandomize=True)
def test_uniform_stays_below_total(roll: bytes, total: int) -> None:
    """A ticket lies in [0, total), whatever the roll."""
    assert 0 <= uniform(roll, total) < total


@given(
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any),
)
@settings(max_examples=100, derandomize=True)
def test_select_gives_each_prize_exactly_its_weight_in_tickets(weights: list[int]) -> None:
    """P4: of the T tickets exactly S belong to a prize with weight S: its share is S/T."""
    total = sum(weights)
    hits = [select(weights, ticket) for ticket in range(total)]
    assert [hits.count(index) for index in range(len(weights))] == weights
    assert None is select(weights, total)


@pytest.mark.parametrize(
    ("mode", "weight", "left", "expected"),
    [
        (Mode.ODDS, 5, 3, 5),
        (Mode.ODDS, 5, 0, 0),
        (Mode.TICKETS, 5, 3, 3),
        (Mode.TICKETS, 5, 0, 0),
        (Mode.WEIGHTS, 5, 3, 5),
        (Mode.WEIGHTS, 0, 3, 3),
        (Mode.WEIGHTS, 5, None, 5),
        (Mode.WEIGHTS, 5, 0, 0),
    ],
)
def test_weight_follows_the_mode(mode: Mode, weight: int, left: int | None, expected: int) -> None:
    """The table of modes in the design, row by row."""
    assert expected == weight_of(mode, weight, left)
