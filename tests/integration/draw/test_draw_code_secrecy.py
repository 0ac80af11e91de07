"""Prize codes stay their winners' secrets, whatever is published; and stay what they were."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from kuji.draw.v1 import draw_pb2, pool_pb2
from prometheus_client import generate_latest
from redis.asyncio import Redis

from services.draw.code_key import CodeKey
from services.draw.pools import Pools
from services.pool.ledger.entries import decode_entry
from services.pool.rule.prize_code import prize_code
from services.pool.rule.selection import PPB
from services.pool.seeds import SeedCipher
from services.pool.store.keys import ledger_key
from services.recorder.recording import record
from tests.support.blindbox import ItemSpec
from tests.support.blindbox_draw import Mall, open_mall
from tests.support.draw_service import SEED_KEY, open_world
from tests.support.draws import CODE_KEY
from tests.support.history import eventually
from tests.support.ledgers import export_pool, snapshot, verify_file

OTHER_KEY = "c1" * 32
ENDED = pool_pb2.POOL_STATUS_ENDED


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service that soon reveals the seeds of pools that have ended."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url, watch_every_s=0.05) as mall:
        yield mall


def windows(material: Iterable[bytes]) -> Iterator[bytes]:
    """All that the published bytes could give a code: as of old, four in a row; and five."""
    for one in material:
        for size in (4, 5):
            yield from (one[at : at + size] for at in range(len(one) - size + 1))


def bytes_in(answer: Message) -> list[bytes]:
    """The bytes that an answer gives in hexadecimal."""
    fields: dict[str, Any] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    return [bytes.fromhex(fields[name]) for name in ("roll", "seed", "seed_commitment")]


def check_that_nothing_gives(
    codes: dict[int, str], pool_id: int, answers: dict[int, Message], export: str
) -> None:
    """No code of *codes*, by seq, is in what is published, nor made of a part of it."""
    published = "\n".join([*map(str, answers.values()), export, generate_latest().decode()])
    for seq, code in codes.items():
        assert code not in published
        assert code.rpartition("-")[2] not in published
        guesses = windows([answer for one in answers.values() for answer in bytes_in(one)])
        assert code not in {prize_code(pool_id, seq, guess) for guess in guesses}


async def _exported(postgres: asyncpg.Pool, pool_id: int, seed: str, folder: Path) -> str:
    """The ledger file of a pool, after seeing that it verifies."""
    async with snapshot(postgres) as connection:
        file = await export_pool(connection, pool_id, folder / "ledger.jsonl")
    assert verify_file(file, bytes.fromhex(seed))
    return file.read_text("utf-8")


async def test_no_code_follows_from_all_that_is_published_of_a_lottery(
    mall: Mall, tmp_path: Path
) -> None:
    """G1: verification and ledger of a pool that is revealed tell nobody a winner's code."""
    world = mall.world
    activity = await world.activity((30, PPB // 2), (30, PPB - PPB // 2))
    draws = [await world.user(user).draw(activity.activity_id, "a") for user in range(1, 11)]
    codes = {seq: draw.prize.prize_code for seq, draw in enumerate(draws, 1)}
    activity.config.status = ENDED
    await world.publish(activity)
    raw: Any = await mall.redis.xrange(ledger_key(activity.pool_id))
    async with world.postgres.acquire() as connection:
        await record(connection, activity.pool_id, [decode_entry(*one) for one in raw], {})

    async def verification(seq: int) -> draw_pb2.VerifyDrawResponse:
        request = draw_pb2.VerifyDrawRequest(draw_id=f"{activity.pool_id}-{seq}")
        answer: draw_pb2.VerifyDrawResponse = await world.user(99)(request)
        return answer

    async def is_revealed() -> bool:
        return (await verification(1)).HasField("seed")

    await eventually(is_revealed)
    verified = {seq: await verification(seq) for seq in codes}
    assert all(answer.valid for answer in verified.values())
    answers: dict[int, Message] = dict(verified)
    export = await _exported(world.postgres, activity.pool_id, verified[1].seed, tmp_path)
    assert len(codes) == len(set(codes.values()))
    check_that_nothing_gives(codes, activity.pool_id, answers, export)


async def test_no_code_follows_from_all_that_is_published_of_a_box(
    mall: Mall, tmp_path: Path
) -> None:
    """G1: likewise validation; the last prize has a code of its own."""
    box = await mall.box(ItemSpec(2), ItemSpec(2), ItemSpec(1, is_last_prize=True))
    orders = [await mall.shop().order(box, name, user_id=7, count=2) for name in "ab"]
    given = [item for order in orders for item in order.results]
    codes = {seq: item.prize_code for seq, item in enumerate(given, 1)}
    assert (5, 5) == (len(codes), len(set(codes.values())))
    await mall.publish(box, status=ENDED)
    await mall.record(box)

    async def is_revealed() -> bool:
        return (await mall.user(99).validate(f"{box.pool_id}-1")).HasField("seed")

    await eventually(is_revealed)
    validated = {seq: await mall.user(99).validate(f"{box.pool_id}-{seq}") for seq in codes}
    assert all(answer.valid for answer in validated.values())
    answers: dict[int, Message] = dict(validated)
    export = await _exported(mall.postgres, box.pool_id, validated[1].seed, tmp_path)
    check_that_nothing_gives(codes, box.pool_id, answers, export)


async def test_processes_with_another_code_key_give_the_same_rolls_and_other_codes(
    mall: Mall,
) -> None:
    """A code is a function of the key, not of the seed: the seed's reveal reveals no code."""
    activity = await mall.world.activity((9, PPB))

    async def intent(code_key: str) -> tuple[bytes, bytes]:
        cipher, key = SeedCipher(SEED_KEY), CodeKey(code_key)
        pool = await Pools(mall.postgres, mall.redis, cipher, key).of_id(activity.pool_id)
        one = pool.intent(7, "a", 3)
        return one.rolls, one.codes

    (rolls, codes), (same_rolls, other_codes) = await intent(CODE_KEY), await intent(OTHER_KEY)
    assert rolls == same_rolls
    assert not set(_fives(codes)) & set(_fives(other_codes))


def _fives(codes: bytes) -> list[bytes]:
    return [codes[at : at + 5] for at in range(0, len(codes), 5)]


async def test_replay_gives_the_same_codes_when_the_key_was_changed_meanwhile(
    mall: Mall, postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str
) -> None:
    """X2: from the ledger, and from the records: codes that were given stay good."""
    activity = await mall.world.activity((9, PPB))
    box = await mall.box(ItemSpec(2), ItemSpec(1, is_last_prize=True))
    drawn = (await mall.world.user(7).draw(activity.activity_id, "a")).prize.prize_code
    bought = [item.prize_code for item in (await mall.shop().order(box, "a", count=2)).results]
    assert 3 == len(bought)
    async with (
        open_world(postgres, postgres_dsn, redis_url, code_key=OTHER_KEY) as rotated,
        open_mall(mall.redis, postgres, postgres_dsn, redis_url, code_key=OTHER_KEY) as shop,
    ):

        async def told_again() -> tuple[str, list[str]]:
            again = await rotated.user(7).draw(activity.activity_id, "a")
            order = await shop.shop().order(box, "a", count=2)
            assert again.replayed
            return again.prize.prize_code, [item.prize_code for item in order.results]

        assert (drawn, bought) == await told_again()
        await mall.record(box)
        raw: Any = await mall.redis.xrange(ledger_key(activity.pool_id))
        async with postgres.acquire() as connection:
            await record(connection, activity.pool_id, [decode_entry(*one) for one in raw], {})
        await mall.redis.xtrim(ledger_key(activity.pool_id), maxlen=0, approximate=False)
        await mall.trim(box)
        assert (drawn, bought) == await told_again()
        fresh = await rotated.user(8).draw(activity.activity_id, "a")
        assert not fresh.replayed
        assert fresh.prize.prize_code not in {drawn, *bought}
