"""Ledgers of blind boxes, drawn for orders: true ones pass, tampering is found."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
from redis.asyncio import Redis

from ops.commands.export_ledger import export_ledger
from ops.commands.verify import verify
from ops.errors import OperatorError
from services.pool.rule.replay import DiscrepancyError
from services.pool.rule.terms import DrawCode
from services.pool.store.keys import key
from tests.support.blindbox import ItemSpec
from tests.support.boxes import LAST_PRIZE, BoxCampaign, open_box, open_boxes
from tests.support.command import run_kuji
from tests.support.draws import SEED
from tests.support.ledgers import (
    OPEN,
    PAUSED,
    export_pool,
    snapshot,
    verify_file,
    verify_pool,
)
from tests.support.tampering import (
    Tamper,
    Tampering,
    change_config,
    change_draw,
    copy_draw,
    remove_draws,
    run_sql,
    scratch_database,
    shift_draws,
    swap_draws,
)

_DATABASE = "boxes_to_tamper_with"
_HOUR_MS = 3_600_000
_ITEMS = [ItemSpec(1, title="Bicycle"), ItemSpec(3, title="Mug"), ItemSpec(10, shang=1), LAST_PRIZE]


async def _sold_out_box(postgres: asyncpg.Pool, redis: Redis) -> BoxCampaign:
    """
    15 draws for 14 tickets in 5 entries: 1–3, 4–5 (two orders), 6, paused and put back, 7–11,
    12–15 with the last prize.
    """
    _, box = await open_boxes(postgres, redis, *_ITEMS, boxes=2)
    await box.buy((1, "a-1", 3))
    await box.buy((2, "a-2"), (1, "a-3"))
    await box.buy((3, "a-4"))
    for status in (PAUSED, OPEN):
        box.config.status = status
        await box.publish()
    await box.buy((2, "a-5", 5))
    await box.buy((4, "a-6", 3))
    await box.record()
    return box


class Ledger(NamedTuple):
    """The recorded ledger of _sold_out_box: that of box 2."""

    postgres: asyncpg.Pool
    pool_id: int
    goods_id: int


@pytest.fixture(scope="module")
async def ledger(postgres_server: str, redis_url: str) -> AsyncIterator[Ledger]:
    """One ledger for all tamperings: each works in a transaction that is rolled back."""
    async with scratch_database(postgres_server, _DATABASE) as postgres:
        async with Redis.from_url(redis_url) as client:
            await client.flushall()
            box = await _sold_out_box(postgres, client)
        yield Ledger(postgres, box.pool_id, box.shelf.goods_id)


async def test_box_verifies_when_it_is_sold_out_with_its_last_prize(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Every order's tickets follow from the seed, in Postgres and in a file."""
    async with snapshot(ledger.postgres) as connection:
        assert 15 == await verify_pool(connection, ledger.pool_id)
        file = await export_pool(connection, ledger.pool_id, tmp_path / "box.jsonl.gz")
    assert 15 == verify_file(file)


async def test_box_verifies_when_weights_are_fixed_and_stock_is_unlimited(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Infinite goods: fixed weights, weights of stock, items that run out and items that do not."""
    items = [ItemSpec(None, 70), ItemSpec(4), ItemSpec(9, 30, shang=1), ItemSpec(None, 1)]
    box = await open_box(postgres, redis, *items, kind="infinite")
    await box.buy((1, "a", 100), (2, "b", 7))
    await box.buy((2, "c", 50))
    await box.record()
    assert 157 == await box.verify()


async def test_box_verifies_when_protection_let_its_buyer_alone_draw(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Refused buyers leave no trace; those whose time came, and a changed protection, follow."""
    box = await open_box(postgres, redis, ItemSpec(20), protection_ms=_HOUR_MS)
    await box.buy((1, "a"), (1, "b", 2))
    (refused,) = await box.ask(await box.reserve(2, "c"))
    assert DrawCode.PROTECTED == refused.code
    box.config.protection_ms = 0
    await box.publish()
    await box.buy((2, "d"), (3, "e", 3))
    box.config.protection_ms = _HOUR_MS
    await box.publish()
    await box.buy((3, "f"))
    await box.record()
    assert 8 == await box.verify()


TAMPERINGS = [
    Tampering("another item given", change_draw(2, "prize_id = prize_id % 3 + 5"), 2),
    Tampering("ticket changed", change_draw(8, "ticket = (ticket + 1) % odds_total"), 8),
    Tampering("chance changed", change_draw(4, "odds_weight = odds_weight + 1"), 4),
    Tampering("order's number of tickets changed", change_draw(6, "draw_count = 2"), 6),
    Tampering("another order named", change_draw(6, "request_id = 'order:a-9'"), 6),
    Tampering("another buyer named", change_draw(6, "user_id = 9"), 6),
    Tampering("draw removed", remove_draws(6, 6), 6),
    Tampering("draw within an order removed", remove_draws(9, 9), 9),
    Tampering("order removed", remove_draws(7, 11), 7),
    Tampering("last prize removed", remove_draws(15, 15), 15),
    Tampering(
        "last prize removed and not counted",
        run_sql(
            "DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 15",
            "UPDATE pools SET recorded_seq = 14 WHERE id = $1",
        ),
        15,
    ),
    Tampering("draws of two orders swapped", swap_draws(3, 6), 1),
    Tampering("draws of one order swapped", swap_draws(8, 9), 8),
    Tampering("orders of one entry swapped", swap_draws(4, 5), 4),
    Tampering(
        "renumbered after a removal",
        run_sql("DELETE FROM lottery_records WHERE pool_id = $1 AND seq = 6", *shift_draws(6, -1)),
        6,
    ),
    Tampering("draw inserted", run_sql(*shift_draws(6, 1), copy_draw(6, 7)), 7),
    Tampering(
        "a second last prize",
        run_sql(copy_draw(15, 16), "UPDATE pools SET recorded_seq = 16 WHERE id = $1"),
        16,
    ),
    Tampering(
        "item's name changed",
        change_config(1, "config = replace(config::text, 'Bicycle', 'Sticker')::json"),
        7,
    ),
    Tampering("shelf moved", change_config(1, "after_seq = 5"), 6),
]


@pytest.mark.parametrize(
    ("tamper", "first"), [t[1:] for t in TAMPERINGS], ids=[t.name for t in TAMPERINGS]
)
async def test_check_names_the_first_draw_of_a_box_when(
    ledger: Ledger, tmp_path: Path, tamper: Tamper, first: int
) -> None:
    """No change to what is recorded of a box stays hidden, in Postgres or in a file."""
    async with snapshot(ledger.postgres) as connection:
        await tamper(connection, ledger.pool_id)
        with pytest.raises(DiscrepancyError) as found:
            await verify_pool(connection, ledger.pool_id)
        assert first == found.value.seq, found.value
        with pytest.raises(DiscrepancyError) as found_in_file:
            verify_file(await export_pool(connection, ledger.pool_id, tmp_path / "box.gz"))
        assert str(found.value) == str(found_in_file.value)


async def test_check_finds_another_seed_of_a_box(ledger: Ledger) -> None:
    """The seed of another box does not pass for this one's."""
    async with snapshot(ledger.postgres) as connection:
        with pytest.raises(DiscrepancyError, match=r"^The seed is not the one that was committed"):
            await verify_pool(connection, ledger.pool_id, bytes(32))


async def test_check_names_the_draw_that_a_protection_forbade(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Who got into a box that was somebody else's at that moment is found."""
    box = await open_box(postgres, redis, ItemSpec(20), protection_ms=_HOUR_MS)
    await box.buy((1, "a", 2))
    await redis.hset(key(box.pool_id, "state"), "last_user", "2")
    await box.buy((2, "b"))
    await box.record()
    with pytest.raises(DiscrepancyError, match=r"the pool was another user's for \d+ ms more") as f:
        await box.verify()
    assert 3 == f.value.seq


async def test_box_is_named_by_pool_or_by_goods_and_number(
    ledger: Ledger, postgres_server: str, tmp_path: Path
) -> None:
    """Both ways, and the file, verify and export the same draws."""
    dsn = {"KUJI_POSTGRES_DSN": f"{postgres_server}/{_DATABASE}"}
    by_pool, by_box = tmp_path / "pool.jsonl", tmp_path / "box.jsonl"
    box = ("--goods", str(ledger.goods_id), "--box", "2")
    pool = ("--pool", str(ledger.pool_id))
    seed = ("--seed", SEED.hex())
    exported = await asyncio.gather(
        run_kuji("export-ledger", *pool, by_pool, **dsn),
        run_kuji("export-ledger", by_box, *box, **dsn),
    )
    assert [(0, f"✓ 15 draws in {file}\n") for file in (by_pool, by_box)] == [
        ran[:2] for ran in exported
    ]
    assert by_pool.read_text() == by_box.read_text()
    verified = await asyncio.gather(
        run_kuji("verify", *pool, *seed, **dsn),
        run_kuji("verify", *box, *seed, **dsn),
        run_kuji("verify", "--file", by_box, *seed, **dsn),
    )
    assert {(0, "✓ every one of 15 draws follows from the seed\n")} == {ran[:2] for ran in verified}


async def test_box_is_verified_without_a_seed_once_it_is_revealed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str
) -> None:
    """Until the reveal it is said when that is; afterwards the box alone is named."""
    box = await open_box(postgres, redis, ItemSpec(2))
    await box.buy((1, "a", 2))
    await box.record()
    arguments = ("verify", "--goods", str(box.shelf.goods_id), "--box", "1")
    before = await run_kuji(*arguments, KUJI_POSTGRES_DSN=postgres_dsn)
    await box.execute("INSERT INTO pool_reveals (pool_id, seed) VALUES ($1, $2)", SEED)
    after = await run_kuji(*arguments, KUJI_POSTGRES_DSN=postgres_dsn)
    expected = (
        f"kuji: The seed of pool {box.pool_id} is not revealed yet: that comes when the box is "
        "sold out, or its goods have ended for good\n"
    )
    assert (2, "", expected) == before
    assert (0, "✓ every one of 2 draws follows from the seed\n") == after[:2]


_ONE_OF = "one of these: an activity, a pool with --pool, a box with --goods and --box"
_FOR_VERIFY = f"Name {_ONE_OF}, or a ledger file with --file"
_FOR_EXPORT = f"Name a file, and {_ONE_OF}"
_WHOLE_BOX = "A box is named by both --goods and --box"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, _FOR_VERIFY),
        ({"goods": 1}, _WHOLE_BOX),
        ({"box": 1}, _WHOLE_BOX),
        ({"activity": 1, "box": 1}, _WHOLE_BOX),
        ({"activity": 1, "pool": 1}, _FOR_VERIFY),
        ({"pool": 1, "goods": 1, "box": 1}, _FOR_VERIFY),
        ({"pool": 1, "file": Path("x")}, _FOR_VERIFY),
    ],
)
def test_verify_says_what_to_name_when_no_one_ledger_is_named(
    options: dict[str, Any], sentence: str
) -> None:
    """A choice that is missing or contradicts itself is one sentence."""
    with pytest.raises(OperatorError, match=f"^{sentence}$"):
        verify(**options)


@pytest.mark.parametrize(
    ("operands", "options", "sentence"),
    [
        (["x"], {}, _FOR_EXPORT),
        (["1", "x"], {"pool": 1}, _FOR_EXPORT),
        (["x"], {"goods": 1}, _WHOLE_BOX),
        (["a", "x"], {}, "a is not an activity: it is named by its number"),
        (["1", "2", "x"], {}, "1 2 is not an activity: it is named by its number"),
    ],
)
def test_export_says_what_to_name_when_no_one_ledger_is_named(
    operands: list[str], options: dict[str, int], sentence: str
) -> None:
    """Likewise, and the file is what comes last."""
    with pytest.raises(OperatorError, match=f"^{sentence}$"):
        export_ledger(operands, **options)


async def test_verify_exits_2_in_one_sentence_when_there_is_no_such_box(postgres_dsn: str) -> None:
    """A mistyped number is no ledger that follows."""
    dsn = {"KUJI_POSTGRES_DSN": postgres_dsn}
    no_pool, no_box = await asyncio.gather(
        run_kuji("verify", "--pool", "404", **dsn),
        run_kuji("export-ledger", "--goods", "4", "--box", "9", "x", **dsn),
    )
    assert (2, "", "kuji: There is no pool 404\n") == no_pool
    assert (2, "", "kuji: There is no box 9 of goods 4\n") == no_box
