"""The history service on a real Postgres and a real Redis."""

import asyncio
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.history.v1 import history_pb2 as pb
from redis.asyncio import Redis

from services.common.errors import (
    ActivityNotFoundError,
    NotFoundError,
    UnavailableError,
)
from services.common.paging import Page
from services.history.lottery import winners
from services.history.lottery.winners import WinnersQuery, WinnerStore
from services.pool.rule.prize_code import prize_code
from services.pool.store.keys import FEED_CHANNEL, key, ledger_key
from tests.support.history import (
    ANYONE,
    START_MS,
    LedgerWriter,
    PrizeSpec,
    as_user,
    eventually,
    history_of,
    make_pool,
    make_users,
    mark_answered,
    next_version,
    recording,
    until_recorded,
)


async def make_won_pools(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, wins: int
) -> list[LedgerWriter]:
    """Two pools with *wins* recorded winners together, taking turns by threes."""
    (user,) = await make_users(postgres, 1)
    pools = [await make_pool(postgres, redis) for _ in range(2)]
    async with recording(postgres_dsn, redis_url):
        for n in range(wins):
            writer, prizes = pools[n // 3 % 2]
            await writer.draw([(user, 0), (user, prizes[n % 2].prize_id)])
        for writer, _ in pools:
            await until_recorded(postgres, writer)
    return [writer for writer, _ in pools]


async def newest_first(postgres: asyncpg.Pool, activity_id: int) -> list[str]:
    """Draw ids of all winners of an activity (0: of all), newest first, read plainly."""
    rows = await postgres.fetch(
        "SELECT pool_id || '-' || seq FROM winners WHERE $1::bigint IN (0, activity_id)"
        " ORDER BY win_no DESC",
        activity_id,
    )
    return [row[0] for row in rows]


@pytest.fixture
async def lists(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> list[tuple[int, list[str]]]:
    """(activity id, 0: all; draw ids of its winners) of the whole list and of three parts of it."""
    writers = await make_won_pools(postgres, redis, postgres_dsn, redis_url, 40)
    activities = [0, *(writer.activity_id for writer in writers), 10**6]
    lists = [(id_, await newest_first(postgres, id_)) for id_ in activities]
    assert [40, 21, 19, 0] == [len(rows) for _, rows in lists]
    return lists


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the examples only read
)
@given(which=st.integers(0, 3), number=st.integers(1, 45), size=st.integers(1, 100))
async def test_pages_are_slices_of_the_whole_list(
    postgres: asyncpg.Pool, lists: list[tuple[int, list[str]]], which: int, number: int, size: int
) -> None:
    """Page P of size S, over all and per activity, is rows (P−1)·S … P·S − 1, for any P and S."""
    activity_id, rows = lists[which]
    page = Page(number, size)
    found = await WinnerStore(postgres).winners(WinnersQuery(activity_id, page))
    ids = [f"{winner.pool_id}-{winner.seq}" for winner in found.rows]
    assert rows[page.offset : page.offset + size] == ids
    assert (bool(ids) and len(rows) > page.offset + size) == found.has_more


@pytest.mark.parametrize(
    ("query", "names", "index"),
    [
        (winners._queries.winners_page, ("skip", "size"), "winners_pkey"),
        (
            winners._queries.activity_winners_page,
            ("activity_id", "skip", "size"),
            "winners_pool_id_pool_win_no_key",
        ),
    ],
    ids=["all", "activity"],
)
async def test_any_page_reads_one_range_of_an_index(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    query: Any,
    names: tuple[str, ...],
    index: str,
) -> None:
    """A deep page touches its own rows of winners and no others."""
    writers = await make_won_pools(postgres, redis, postgres_dsn, redis_url, 40)
    arguments = {"skip": 10, "size": 5, "activity_id": writers[0].activity_id}
    async with postgres.acquire() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = await connection.fetch(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + query.sql,
            *(arguments[name] for name in names),
        )
    scans = [row[0] for row in plan if " on winners " in row[0]]
    assert [(True, True)] == [(index in scan, "rows=5" in scan) for scan in scans], plan


async def test_winner_is_listed_masked_with_what_was_won(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """The list shows who won what; a user unknown to Postgres is shown too."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    await writer.draw([(user, prize.prize_id), (10**6, prize.prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    async with history_of(postgres_dsn, redis_url) as history:
        page = await history.servicer.ListWinners(pb.ListWinnersRequest(), ANYONE)
    shown = [(one.user_name, one.prize_name, one.draw_id, one.activity_id) for one in page.winners]
    pool, activity = writer.pool_id, writer.activity_id
    assert [
        ("***", "Prize 0", f"{pool}-2", activity),
        ("u***0", "Prize 0", f"{pool}-1", activity),
    ] == shown
    assert (1, 20, False) == (page.page, page.page_size, page.has_more)
    assert START_MS + 2 == page.winners[0].won_at.ToMilliseconds()


async def test_nudge_shows_a_winner_that_the_cache_lacks(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A page that could be kept for an hour shows a new winner as soon as it is recorded."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    request = pb.ListWinnersRequest()
    async with history_of(postgres_dsn, redis_url, page_age_s=3600, poll_s=3600) as history:
        await eventually(lambda: _listens(redis))
        assert [] == list((await history.servicer.ListWinners(request, ANYONE)).winners)
        async with recording(postgres_dsn, redis_url):
            await writer.draw([(user, prize.prize_id)])

            async def is_listed() -> bool:
                return len((await history.servicer.ListWinners(request, ANYONE)).winners) == 1

            await eventually(is_listed)


async def _listens(redis: Redis) -> bool:
    return bool((await redis.pubsub_numsub(FEED_CHANNEL))[0][1])


async def test_many_callers_cost_one_query(
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five hundred at once, and again within the second: one read of Postgres."""
    reads = 0
    read = WinnerStore.winners

    async def counted(store: WinnerStore, query: WinnersQuery) -> Any:
        nonlocal reads
        reads += 1
        return await read(store, query)

    monkeypatch.setattr(WinnerStore, "winners", counted)
    async with history_of(postgres_dsn, redis_url, page_age_s=3600) as history:
        await eventually(lambda: _listens(redis))
        for _ in range(2):
            await asyncio.gather(
                *(history.servicer.ListWinners(pb.ListWinnersRequest(), ANYONE) for _ in range(500))
            )
    assert 1 == reads


@pytest.mark.parametrize("recorded", [True, False], ids=["postgres", "ledger"])
async def test_result_reads_the_same_before_and_after_it_is_recorded(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, recorded: bool
) -> None:
    """Owner and others see their views of a win and of a miss, from either source."""
    users = await make_users(postgres, 2)
    writer, prizes = await make_pool(postgres, redis)
    document: Any = await redis.xrange(key(writer.pool_id, "ledger"))
    await redis.set(key(writer.pool_id, "document"), document[0][1][b"c"])
    await writer.draw([(users[0], 0), (users[0], prizes[1].prize_id)])
    if recorded:
        async with recording(postgres_dsn, redis_url):
            await until_recorded(postgres, writer)
    async with history_of(postgres_dsn, redis_url) as history:
        win = pb.GetResultRequest(draw_id=f"{writer.pool_id}-2")
        mine = (await history.servicer.GetResult(win, as_user(users[0]))).result
        theirs = (await history.servicer.GetResult(win, as_user(users[1]))).result
        miss = pb.GetResultRequest(draw_id=f"{writer.pool_id}-1")
        missed = (await history.servicer.GetResult(miss, as_user(users[0]))).result
    code = prize_code(writer.pool_id, 2, (2).to_bytes(5))
    won = pb.WonPrize(prize_id=prizes[1].prize_id, name="Prize 1", prize_code=code)
    assert ("user-0", True, won, 0.25) == (mine.user_name, mine.won, mine.prize, mine.odds)
    won.prize_code = ""
    assert ("u***0", True, won) == (theirs.user_name, theirs.won, theirs.prize)
    assert (False, False) == (missed.won, missed.HasField("prize"))
    assert {writer.activity_id} == {one.activity_id for one in (mine, theirs, missed)}
    own = [one.roll_text.split("|") for one in (mine, missed)]
    assert {(str(writer.pool_id), str(users[0]), "0")} == {(p, u, i) for p, u, _, i in own}
    assert (2, "") == (len({request_id for *_, request_id, _ in own}), theirs.roll_text)
    assert START_MS + 2 == mine.created_at.ToMilliseconds()


async def test_win_to_be_recorded_first_is_no_result_yet(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Not even to its winner; a miss beside it is, at once."""
    (user,) = await make_users(postgres, 1)
    writer, prizes = await make_pool(postgres, redis)
    entry = writer.entry([(user, prizes[0].prize_id), (user, 0)])
    await writer.add(entry._replace(announced=False))
    win, miss = [pb.GetResultRequest(draw_id=f"{writer.pool_id}-{seq}") for seq in (1, 2)]
    async with history_of(postgres_dsn, redis_url) as history:
        with pytest.raises(UnavailableError):
            await history.servicer.GetResult(win, as_user(user))
        assert not (await history.servicer.GetResult(miss, as_user(user))).result.won
        async with recording(postgres_dsn, redis_url):
            await until_recorded(postgres, writer)
        assert (await history.servicer.GetResult(win, as_user(user))).result.won


async def test_result_is_not_found_when_there_was_no_such_draw(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Beyond the newest draw, in a known gap, and in no pool: NOT_FOUND."""
    (user,) = await make_users(postgres, 1)
    writer, _ = await make_pool(postgres, redis)
    await writer.draw([(user, 0)])
    async with history_of(postgres_dsn, redis_url) as history:
        for draw_id in (f"{writer.pool_id}-2", "999999-1"):
            with pytest.raises(NotFoundError):
                await history.servicer.GetResult(
                    pb.GetResultRequest(draw_id=draw_id), as_user(user)
                )


async def test_result_is_unavailable_while_the_store_is_an_older_copy_without_it(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A1: what was answered exists; beyond it there is no draw; recorded, it is found."""
    (user,) = await make_users(postgres, 1)
    writer, _ = await make_pool(postgres, redis)
    await writer.draw([(user, 0)])
    await mark_answered(postgres, writer.pool_id, 1)
    answered, never = [pb.GetResultRequest(draw_id=f"{writer.pool_id}-{seq}") for seq in (1, 2)]
    newest: Any = await redis.dump(ledger_key(writer.pool_id))
    await redis.delete(ledger_key(writer.pool_id))
    async with history_of(postgres_dsn, redis_url) as history:
        with pytest.raises(UnavailableError):
            await history.servicer.GetResult(answered, as_user(user))
        with pytest.raises(NotFoundError):
            await history.servicer.GetResult(never, as_user(user))
        await redis.restore(ledger_key(writer.pool_id), 0, newest)
        assert not (await history.servicer.GetResult(answered, as_user(user))).result.won


async def test_user_sees_the_own_draws_alone_newest_first(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Filters by activity and by win hold; pages follow each other without loss."""
    me, other = await make_users(postgres, 2)
    first, (prize, _) = await make_pool(postgres, redis)
    second, _ = await make_pool(postgres, redis)
    await first.draw([(me, 0), (other, 0), (me, prize.prize_id)])
    await second.draw([(me, 0)] * 4)
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, first)
        await until_recorded(postgres, second)
    async with history_of(postgres_dsn, redis_url) as history:

        async def draws(**request: Any) -> tuple[list[str], bool]:
            page = await history.servicer.ListUserDraws(
                pb.ListUserDrawsRequest(**request), as_user(me)
            )
            return [record.draw_id for record in page.records], page.has_more

        a, b = first.pool_id, second.pool_id
        everything = [f"{b}-4", f"{b}-3", f"{b}-2", f"{b}-1", f"{a}-3", f"{a}-1"]
        assert (everything, False) == await draws()
        assert (everything[:4], True) == await draws(page_size=4)
        assert (everything[4:], False) == await draws(page_size=4, page=2)
        assert ([f"{a}-3", f"{a}-1"], False) == await draws(activity_id=first.activity_id)
        assert ([f"{a}-3"], False) == await draws(won_only=True)
        assert ([], False) == await draws(won_only=True, activity_id=second.activity_id)


async def test_activities_are_listed_newest_first_with_their_state(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Time and the operator's wish make the state."""
    writers = [
        (await make_pool(postgres, redis, name=name))[0]
        for name in ("ongoing", "paused", "ended", "planned")
    ]
    ids = [writer.activity_id for writer in writers]
    await postgres.execute("UPDATE activities SET status = 'paused' WHERE id = $1", ids[1])
    await postgres.execute("UPDATE activities SET end_time = '2024-01-01Z' WHERE id = $1", ids[2])
    await postgres.execute("UPDATE activities SET start_time = '2999-01-01Z' WHERE id = $1", ids[3])
    async with history_of(postgres_dsn, redis_url) as history:
        found = await history.servicer.ListActivities(pb.ListActivitiesRequest(), ANYONE)
    listed = [(one.activity_id, one.name, one.status) for one in found.activities]
    names = ["planned", "ended", "paused", "ongoing"]
    assert [(id_, name, name) for id_, name in zip(reversed(ids), names, strict=True)] == listed
    assert [False, True] == [one.HasField("end_time") for one in found.activities[:2]]


async def test_prizes_are_shown_with_odds_and_what_is_left(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """Named or left out while one is ongoing, an activity shows its prizes, deleted ones hidden."""
    (user,) = await make_users(postgres, 1)
    writer, prizes = await make_pool(postgres, redis, prizes=3, units=10)
    await writer.draw([(user, prizes[0].prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    await postgres.execute("UPDATE prizes SET deleted_at = now() WHERE id = $1", prizes[2].prize_id)
    async with history_of(postgres_dsn, redis_url) as history:
        found = await history.servicer.ListPrizes(pb.ListPrizesRequest(), ANYONE)
        named = pb.ListPrizesRequest(activity_id=writer.activity_id)
        assert found == await history.servicer.ListPrizes(named, ANYONE)
    shown = [
        (one.prize_id, one.total_count, one.remaining_count, one.probability, one.is_enabled)
        for one in found.prizes
    ]
    assert [
        (prizes[0].prize_id, 10, 9, 0.25, True),
        (prizes[1].prize_id, 10, 10, 0.25, True),
    ] == shown
    assert (writer.activity_id, "01" * 32) == (found.activity.activity_id, found.seed_commitment)


async def test_prizes_are_not_found_when_the_activity_is_not_clear(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """None ongoing, several ongoing, unknown: each says what is wrong."""
    async with history_of(postgres_dsn, redis_url) as history:

        async def refusal(activity_id: int) -> str:
            with pytest.raises(ActivityNotFoundError) as caught:
                await history.servicer.ListPrizes(
                    pb.ListPrizesRequest(activity_id=activity_id), ANYONE
                )
            return caught.value.message

        assert "No activity is ongoing; name one by activity_id." == await refusal(0)
        assert "There is no such activity." == await refusal(77)
        for _ in range(2):
            await make_pool(postgres, redis)
        assert "Several activities are ongoing; name one by activity_id." == await refusal(0)


async def test_unrecorded_win_keeps_the_name_of_its_configuration(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str
) -> None:
    """A configuration that is recorded names the prize, whatever the live one says by now."""
    (user,) = await make_users(postgres, 1)
    writer, (prize, _) = await make_pool(postgres, redis)
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    await writer.draw([(user, prize.prize_id)])
    renamed = await writer.configure(
        await next_version(postgres), [PrizeSpec(prize.prize_id, name="Later")]
    )
    await redis.set(key(writer.pool_id, "document"), renamed.config_json)
    async with history_of(postgres_dsn, redis_url) as history:
        found = await history.servicer.GetResult(
            pb.GetResultRequest(draw_id=f"{writer.pool_id}-1"), as_user(user)
        )
    assert "Prize 0" == found.result.prize.name
