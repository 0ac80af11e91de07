"""A2: what draws that were lost with Redis may have won is held back, until it is released."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from ops.rebuild.rebuilder import Outcome, Rebuilder
from ops.rebuild.release import ReleaseError, release
from services.admin.blindbox.store import GoodsStore
from services.admin.store import Rows
from services.pool.marks.keeper import MarkKeeper
from services.pool.marks.records import MarkRecords
from services.pool.rule.selection import PPB
from services.pool.rule.terms import Answer, DrawCode
from services.pool.store.redis_store import RedisStore
from tests.support.blindbox import ItemSpec
from tests.support.boxes import LAST_PRIZE, BoxCampaign, open_box
from tests.support.command import run_kuji
from tests.support.draws import NO_BACKLOG_BOUND
from tests.support.ledgers import Campaign, open_campaign
from tests.support.rebuilds import findings, lose_and_rebuild, rebuild

Opened = Callable[[asyncpg.Pool, Redis], Awaitable[Campaign]]
_LOST = 6


async def _lottery(postgres: asyncpg.Pool, redis: Redis, **config: Any) -> Campaign:
    prizes = [{"units": 5, "weight": PPB // 2}, {"units": 40, "weight": PPB // 2}]
    return await open_campaign(postgres, redis, prizes, **config)


async def _ichiban(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    return await open_box(postgres, redis, ItemSpec(4), ItemSpec(12, shang=1), LAST_PRIZE)


async def _infinite(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    items = [ItemSpec(None, 50), ItemSpec(9, 50, shang=1), ItemSpec(5, shang=1)]
    return await open_box(postgres, redis, *items, kind="infinite")


async def _draw(campaign: Campaign, count: int, name: str = "o") -> list[Answer]:
    """So many draws of as many users, or orders."""
    if isinstance(campaign, BoxCampaign):
        wishes = [await campaign.reserve(user, f"{name}-{user}") for user in range(1, count + 1)]
    else:
        wishes = [(user, name) for user in range(1, count + 1)]
    return await campaign.ask(*wishes)


def _won(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(drawn.prize_id for answer in answers for drawn in answer.draws if drawn.prize_id)


async def _play_and_lose(campaign: Campaign, recorded: int = 5, lost: int = _LOST) -> Counter[int]:
    """Some draws that are recorded, and others that went down with Redis; what these won."""
    keeper = MarkKeeper(MarkRecords(campaign.postgres), None, settle_s=0)
    campaign.store = RedisStore(campaign.redis, NO_BACKLOG_BOUND, witness=keeper)
    if recorded:
        await _draw(campaign, recorded, "a")
    await campaign.record()
    announced = _won(await _draw(campaign, lost, "b"))
    await keeper.tell()
    await campaign.redis.flushall()
    return announced


async def _books(campaign: Campaign) -> dict[int, tuple[int | None, int, int, int | None]]:
    """Prize id → units in all, won, held back and left, as recorded."""
    rows = await campaign.postgres.fetch(
        "SELECT id, total_count, won_count, held_count, remaining_count FROM prizes"
        " WHERE pool_id = $1 ORDER BY id",
        campaign.pool_id,
    )
    return {row["id"]: tuple(row)[1:] for row in rows}


async def _held(campaign: Campaign) -> dict[int, int]:
    return {prize_id: held for prize_id, (_, _, held, _) in (await _books(campaign)).items()}


async def _draw_all_that_is_left(campaign: Campaign) -> None:
    """As many draws as could win everything; then the books and the replay agree."""
    units = sum(total for total, *_ in (await _books(campaign)).values() if total) + 30
    name = f"after-{await campaign.fetchval('SELECT version FROM pools WHERE id = $1')}"
    answers = await _draw(campaign, units, name)
    assert {answer.code for answer in answers} <= {DrawCode.DRAWN, DrawCode.SOLD_OUT}
    await campaign.record()
    await _check(campaign)


async def _check(campaign: Campaign) -> None:
    draws: int = await campaign.fetchval("SELECT draws FROM pools WHERE id = $1")
    assert ([], draws) == (await findings(campaign), await campaign.verify())


@pytest.mark.parametrize("opened", [_lottery, _ichiban, _infinite])
async def test_nobody_gets_what_may_have_been_announced_until_it_is_released(
    postgres: asyncpg.Pool, redis: Redis, opened: Opened
) -> None:
    """Held back with the rebuild, in the ledger and the books; then all of it can be won."""
    campaign = await opened(postgres, redis)
    announced = await _play_and_lose(campaign)
    before = await _books(campaign)
    assert Outcome.REBUILT == await rebuild(campaign)
    held = await _held(campaign)
    assert held == {
        prize_id: 0 if left is None else min(left, _LOST)
        for prize_id, (_, _, _, left) in before.items()
    }
    await campaign.record()
    await _check(campaign)
    await _draw_all_that_is_left(campaign)
    for prize_id, (total, won, held_units, left) in (await _books(campaign)).items():
        if total is not None:
            assert won + announced[prize_id] <= total, "given twice"
            assert held_units == held[prize_id]
            assert total == won + held_units + (left or 0)
    assert [] == await GoodsStore(postgres).due_boxes()  # it is not sold out
    await lose_and_rebuild(campaign)  # with nothing lost: as much is held as before
    assert held == await _held(campaign)
    back = await release(postgres, redis, campaign.pool_id, "alice", {})
    assert back == {prize_id: units for prize_id, units in held.items() if units}
    assert {0} == set((await _held(campaign)).values())
    await campaign.record()
    await _check(campaign)
    await _draw_all_that_is_left(campaign)
    lefts = [left for *_, left in (await _books(campaign)).values()]
    assert None in lefts or not any(lefts)  # beside what has no end, some may be left
    assert {} == await release(postgres, redis, campaign.pool_id, "alice", {})
    causes = await postgres.fetch(
        "SELECT config ->> 'cause' AS cause FROM pool_versions WHERE pool_id = $1"
        " AND config ->> 'cause' <> '' ORDER BY version",
        campaign.pool_id,
    )
    assert ["rebuild", "release"] == [row["cause"].partition(":")[0] for row in causes]
    log = await postgres.fetch("SELECT action, subject, detail::text FROM audit_log ORDER BY id")
    subject = f"pool:{campaign.pool_id}"
    assert [("pool.hold", subject), ("pool.release", subject)] == [tuple(row)[:2] for row in log]
    assert _LOST == json.loads(log[0]["detail"])["lost_draws"]
    assert "alice" == json.loads(log[1]["detail"])["operator"]


async def test_last_prize_waits_for_the_tickets_that_are_held_back(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """It comes with the last ticket of all, not with the last one that can be drawn meanwhile."""
    box = await open_box(postgres, redis, ItemSpec(4), LAST_PRIZE)
    await _play_and_lose(box, recorded=1, lost=1)
    await rebuild(box)
    drawn = await box.buy((1, "c"), (2, "d"))
    assert [1, 1] == [answer.places for answer in drawn]
    (refused,) = await box.ask(await box.reserve(3, "e"))
    assert (DrawCode.SOLD_OUT, 0) == (refused.code, refused.detail)
    await release(postgres, redis, box.pool_id, "alice", {})
    (last,) = await box.buy((4, "f"))
    assert [box.prize_ids[0], box.prize_ids[1]] == [drawn.prize_id for drawn in last.draws]
    await box.record()
    await _check(box)
    assert [box.pool_id] == await GoodsStore(postgres).due_boxes()


async def test_nothing_is_held_where_no_win_was_told_or_the_operator_says_so(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Wins that wait for their record were not told; and who wants no hold gets none."""
    by_record = await _lottery(postgres, redis, confirm=pool_pb2.CONFIRM_RECORDED)
    await _play_and_lose(by_record)
    assert Outcome.REBUILT == await rebuild(by_record)
    by_store = await _lottery(postgres, redis)
    await _play_and_lose(by_store)
    rebuilder = Rebuilder(postgres, redis, is_holding=False)
    assert Outcome.REBUILT == await rebuilder.rebuild(by_store.pool_id, lambda _: None)
    assert ({by_store.pool_id: _LOST}, {}) == (rebuilder.lost, rebuilder.held)
    for campaign in (by_record, by_store):
        assert {0} == set((await _held(campaign)).values())


async def test_win_is_taken_for_told_where_confirmation_was_changed_and_not_recorded(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """Nobody knows any more for which draws the newer configuration held."""
    campaign = await _lottery(postgres, redis, confirm=pool_pb2.CONFIRM_RECORDED)
    await campaign.record()
    campaign.config.confirm = pool_pb2.CONFIRM_STORE
    await campaign.publish()
    keeper = MarkKeeper(MarkRecords(postgres), None, settle_s=0)
    campaign.store = RedisStore(redis, NO_BACKLOG_BOUND, witness=keeper)
    await _draw(campaign, _LOST)
    await keeper.tell()
    await lose_and_rebuild(campaign)
    assert [5, _LOST] == list((await _held(campaign)).values())


class _Died(BaseException):
    """The process is gone; nothing catches it."""


def _dying(function: Any) -> Any:
    async def dies(*arguments: Any, **named: Any) -> Any:
        await function(*arguments, **named)
        raise _Died

    return dies


async def test_hold_and_release_hold_though_their_process_dies_on_the_way(
    postgres: asyncpg.Pool, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two steps of a rebuild, and between a release's publication and its commit."""
    campaign = await _lottery(postgres, redis)
    await _play_and_lose(campaign)
    with monkeypatch.context() as patch:
        patch.setattr(Rebuilder, "_note_gap", _dying(Rebuilder._note_gap))
        with pytest.raises(_Died):
            await rebuild(campaign)
    rebuilder = Rebuilder(postgres, redis)
    assert Outcome.REBUILT == await rebuilder.rebuild(campaign.pool_id, lambda _: None)
    held = {prize_id: units for prize_id, units in (await _held(campaign)).items() if units}
    assert {campaign.pool_id: held} == rebuilder.held
    with pytest.raises(ReleaseError, match="its recorder is behind"):
        await _released_behind(campaign)
    await campaign.record()
    with monkeypatch.context() as patch:
        patch.setattr(Rows, "set_pool_version", _dying(Rows.set_pool_version))
        with pytest.raises(_Died):
            await release(postgres, redis, campaign.pool_id, "alice", {})
    assert held.items() <= (await _held(campaign)).items()
    await campaign.record()  # and what the ledger knows, Postgres is brought up to
    assert {0} == set((await _held(campaign)).values())
    await _check(campaign)
    await _draw_all_that_is_left(campaign)


async def _released_behind(campaign: Campaign) -> None:
    """A release where Postgres does not know of the newest configuration."""
    version: int = await campaign.fetchval("SELECT version FROM pools WHERE id = $1")
    await campaign.execute("UPDATE pools SET version = $2 WHERE id = $1", version - 1)
    try:
        await release(campaign.postgres, campaign.redis, campaign.pool_id, "alice", {})
    finally:
        await campaign.execute("UPDATE pools SET version = $2 WHERE id = $1", version)


async def test_commands_say_what_is_held_back_and_give_it_back(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """kuji rebuild, reconcile and release: how many, of what; and 2 for what is not there."""
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    campaign = await _lottery(postgres, redis)
    await _play_and_lose(campaign, recorded=0)
    ran = await run_kuji("rebuild", **stores)
    said = "! pool 1: 6 answered draws are lost; 11 units held back, see kuji release\n"
    assert (0, f"{said}✓ 1 rebuilt, 0 healthy and left alone\n") == ran[:2]
    await campaign.record()
    ran = await run_kuji("reconcile", "--json", **stores)
    audit = json.loads(ran.out)
    first, second = campaign.prize_ids
    held = {"pool_id": campaign.pool_id, "name": "Bear"}
    assert (0, True) == (ran.code, audit["balanced"])
    assert audit["held"] == [
        {**held, "prize_id": first, "units": 5},
        {**held, "prize_id": second, "units": 6},
    ]
    ran = await run_kuji("reconcile", "--pool", str(campaign.pool_id), **stores)
    assert ran.out.startswith(f"! pool 1: 5 units of prize {first} (Bear) held back\n")
    keep = ("--keep", f"{first}=3", "--keep", f"{second}=6")
    ran = await run_kuji("release", str(campaign.activity_id), *keep, **stores)
    assert (0, f"✓ pool 1: 2 units given back: 2 of prize {first}\n") == ran[:2]
    await campaign.record()
    assert {first: 3, second: 6} == await _held(campaign)
    await _check(campaign)
    ran = await run_kuji("release", "--pool", "1", *keep, **stores)
    assert (0, "✓ pool 1: nothing to give back\n") == ran[:2]
    ran = await run_kuji("release", "--pool", "1", "--keep", "7", **stores)
    assert (2, "", "kuji: 7 is not PRIZE=UNITS, two numbers\n") == ran
    ran = await run_kuji("release", "--pool", "1", **stores)
    units = f"3 of prize {first}, 6 of prize {second}"
    assert (0, f"✓ pool 1: 9 units given back: {units}\n") == ran[:2]
    ran = await run_kuji("release", "--goods", "4", "--box", "1", **stores)
    assert (2, "", "kuji: There is no box 1 of goods 4\n") == ran
    ran = await run_kuji("release", **stores)
    assert 2 == ran.code
