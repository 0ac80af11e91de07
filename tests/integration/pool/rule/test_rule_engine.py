"""What a pool promises, held against both stores: the pure engine and the script in Redis."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from scipy.stats import chisquare

from services.pool.rule.selection import Mode
from services.pool.rule.terms import (
    ConfigureCode,
    DrawCode,
    PoolConfig,
    PoolStatus,
    PoolStore,
    PrizeConfig,
    Quota,
    Stock,
)
from services.pool.store.redis_store import ClockOffError, RedisStore
from tests.support.clocks import follow_set_clock, set_clock
from tests.support.draws import NO_BACKLOG_BOUND, MemoryStore, intent, odds, tickets

POOL = 1
SURE = 1_000_000_000
DAY_MS = 86_400_000


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> PoolStore:
    if request.param == "memory":
        return MemoryStore()
    redis: Redis = request.getfixturevalue("redis")
    return RedisStore(redis, NO_BACKLOG_BOUND)


async def open_pool(store: PoolStore, config: PoolConfig) -> None:
    configured = await store.configure(POOL, 0, 1, config, "{}")
    assert ConfigureCode.CONFIGURED is configured.code


async def codes(store: PoolStore, *intents_: object) -> list[DrawCode]:
    drawing = await store.draw(POOL, intents_)  # type: ignore[arg-type]
    return [answer.code for answer in drawing.answers]


async def stocks(store: PoolStore) -> list[Stock]:
    live = await store.inspect(POOL)
    assert live is not None
    return sorted(live.stocks)


async def test_draw_is_refused_when_pool_is_not_loaded(store: PoolStore) -> None:
    """Without a pool nothing is drawn, and the answer says so."""
    assert [DrawCode.NOT_LOADED] == await codes(store, intent(1, "a"))


async def test_draw_takes_one_unit_and_one_seq_when_it_wins(store: PoolStore) -> None:
    """P6: a win lowers its prize's stock by exactly one, and takes the next place in the ledger."""
    await open_pool(store, odds((5, SURE)))
    answer = (await store.draw(POOL, [intent(1, "a")])).answers[0]
    assert (answer.code, answer.first_seq, answer.draws[0].prize_id) == (DrawCode.DRAWN, 1, 1)
    assert [Stock(1, 5, 4)] == await stocks(store)


async def test_draw_misses_when_its_prize_is_sold_out(store: PoolStore) -> None:
    """P6, L3: with odds, a sold-out prize's share becomes a miss: no prize without stock."""
    await open_pool(store, odds((1, SURE)))
    drawing = await store.draw(POOL, [intent(user, "a") for user in range(1, 6)])
    prizes = [answer.draws[0].prize_id for answer in drawing.answers]
    assert [1, 0, 0, 0, 0] == prizes
    assert drawing.answers[4].draws[0][2:4] == (SURE, SURE)
    assert [Stock(1, 1, 0)] == await stocks(store)


async def test_draw_replays_when_request_id_repeats(store: PoolStore) -> None:
    """X2: a retried draw costs no second unit of stock, in the same batch or later."""
    await open_pool(store, odds((5, SURE)))
    assert [DrawCode.DRAWN, DrawCode.REPLAYED] == await codes(store, intent(1, "a"), intent(1, "a"))
    replay = (await store.draw(POOL, [intent(1, "a")])).answers[0]
    assert (replay.code, replay.first_seq, replay.places) == (DrawCode.REPLAYED, 1, 1)
    assert [Stock(1, 5, 4)] == await stocks(store)


async def test_draw_is_refused_when_request_id_names_another_draw(store: PoolStore) -> None:
    """A request id used again for a draw of another size draws nothing."""
    await open_pool(store, odds((5, SURE)))
    await codes(store, intent(1, "a"))
    assert await codes(store, intent(1, "a", draws=2)) == [DrawCode.REQUEST_ID_REUSED]
    assert [Stock(1, 5, 4)] == await stocks(store)


async def test_request_ids_of_two_users_do_not_meet(store: PoolStore) -> None:
    """Two users may use the same request id: each has a draw of its own."""
    await open_pool(store, odds((5, SURE)))
    assert await codes(store, intent(1, "a"), intent(2, "a")) == [DrawCode.DRAWN] * 2


async def test_draw_replays_when_pool_is_closed_meanwhile(store: PoolStore) -> None:
    """A result that was given stays readable by its request id after a pause."""
    await open_pool(store, odds((5, SURE)))
    await codes(store, intent(1, "a"))
    await store.configure(POOL, 1, 2, odds((5, SURE), status=PoolStatus.PAUSED), "{}")
    assert await codes(store, intent(1, "a"), intent(1, "b")) == [
        DrawCode.REPLAYED,
        DrawCode.NOT_ONGOING,
    ]


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"status": PoolStatus.PAUSED}, PoolStatus.PAUSED),
        ({"status": PoolStatus.ENDED}, PoolStatus.ENDED),
        ({"start_ms": int(time.time() * 1000) + 3_600_000}, PoolStatus.PLANNED),
        ({"end_ms": 1}, PoolStatus.ENDED),
    ],
)
async def test_draw_is_refused_outside_the_time_window(
    store: PoolStore, settings: dict[str, int], status: PoolStatus
) -> None:
    """L7: only an open pool inside its window draws."""
    await open_pool(store, odds((5, SURE), **settings))
    answer = (await store.draw(POOL, [intent(1, "a")])).answers[0]
    assert (DrawCode.NOT_ONGOING, status) == (answer.code, answer.detail)
    assert [Stock(1, 5, 5)] == await stocks(store)


async def test_cooldown_holds_within_one_batch(store: PoolStore) -> None:
    """X5: of many draws of one user at once, the cooldown lets one through."""
    await open_pool(store, odds((50, SURE), cooldown_ms=60_000))
    drawing = await store.draw(POOL, [intent(1, str(i)) for i in range(20)])
    assert {DrawCode.DRAWN: 1, DrawCode.COOLDOWN: 19} == Counter(a.code for a in drawing.answers)
    assert drawing.answers[1].detail == 60_000
    assert drawing.now_ms + 60_000 == drawing.answers[0].next_ms


@pytest.mark.parametrize(
    ("settings", "quota"),
    [
        ({"draws_per_user": 3}, Quota.DRAWS_PER_USER),
        ({"draws_per_day": 3}, Quota.DRAWS_PER_DAY),
        ({"wins_per_user": 3}, Quota.WINS_PER_USER),
    ],
)
async def test_quota_of_three_gives_three_however_many_at_once(
    store: PoolStore, settings: dict[str, int], quota: Quota
) -> None:
    """X5: 200 simultaneous draws of one user with a quota of 3 give 3."""
    await open_pool(store, odds((500, SURE), **settings))
    calls = [store.draw(POOL, [intent(1, f"{i}-{k}") for k in range(10)]) for i in range(20)]
    answers = [answer for drawing in await asyncio.gather(*calls) for answer in drawing.answers]
    assert 3 == sum(answer.code is DrawCode.DRAWN for answer in answers)
    refused = {(answer.code, answer.detail) for answer in answers if answer.code < 0}
    assert {(DrawCode.QUOTA_SPENT, quota)} == refused


async def test_draws_left_counts_down(store: PoolStore) -> None:
    """The answer tells how many draws are left: the smaller of the two quotas."""
    await open_pool(store, odds((500, SURE), draws_per_user=5, draws_per_day=2))
    drawing = await store.draw(POOL, [intent(1, "a"), intent(1, "b")])
    assert [1, 0] == [answer.draws_left for answer in drawing.answers]


@pytest.mark.parametrize("hours", [0, 9, -12])
async def test_day_begins_at_the_pools_own_midnight(store: PoolStore, hours: int) -> None:
    """X5: the answer tells when the day's quota is fresh again; on that day it is."""
    offset_ms = hours * 3_600_000
    await open_pool(store, odds((500, SURE), draws_per_day=1, day_offset_ms=offset_ms))
    drawing = await store.draw(POOL, [intent(1, "a"), intent(1, "b")])
    assert [DrawCode.DRAWN, DrawCode.QUOTA_SPENT] == [answer.code for answer in drawing.answers]
    tomorrow_ms = drawing.answers[0].next_ms
    assert 0 == (tomorrow_ms + offset_ms) % DAY_MS
    assert 0 < tomorrow_ms - drawing.now_ms <= DAY_MS
    # As if the clock were put forward to that midnight: the days are.
    midnight = odds(
        (500, SURE), draws_per_day=1, day_offset_ms=tomorrow_ms - drawing.now_ms + offset_ms
    )
    await store.configure(POOL, 1, 2, midnight, "{}")
    assert [DrawCode.DRAWN, DrawCode.QUOTA_SPENT] == await codes(
        store, intent(1, "b"), intent(1, "c")
    )


async def test_day_is_not_given_twice_when_the_time_zone_goes_back(store: PoolStore) -> None:
    """X5: UTC, a zone ahead, UTC again: a user's day only goes forward."""
    config = odds((500, SURE), draws_per_day=1)
    ahead, far_ahead = (replace(config, day_offset_ms=days * DAY_MS) for days in (1, 2))
    await open_pool(store, config)
    assert [DrawCode.DRAWN, DrawCode.QUOTA_SPENT] == await codes(
        store, intent(1, "a"), intent(1, "b")
    )
    await store.configure(POOL, 1, 2, ahead, "{}")
    assert [DrawCode.DRAWN, DrawCode.QUOTA_SPENT] == await codes(
        store, intent(1, "b"), intent(1, "c")
    )
    await store.configure(POOL, 2, 3, config, "{}")
    drawing = await store.draw(POOL, [intent(1, "c"), intent(1, "a")])
    assert (DrawCode.QUOTA_SPENT, Quota.DRAWS_PER_DAY) == (
        drawing.answers[0].code,
        drawing.answers[0].detail,
    )
    day_after_tomorrow_ms = (drawing.now_ms // DAY_MS + 2) * DAY_MS
    assert (0, day_after_tomorrow_ms) == drawing.answers[1][3:5]
    await store.configure(POOL, 3, 4, ahead, "{}")
    assert [DrawCode.QUOTA_SPENT] == await codes(store, intent(1, "c"))
    await store.configure(POOL, 4, 5, far_ahead, "{}")
    assert [DrawCode.DRAWN, DrawCode.QUOTA_SPENT] == await codes(
        store, intent(1, "c"), intent(1, "d")
    )


class Timed:
    """A store, and its server's clock."""

    def __init__(self, store: PoolStore, redis: Redis | None) -> None:
        self.store, self._redis = store, redis

    async def set_clock(self, us: int) -> None:
        """Let the clock stand at *us*."""
        if isinstance(self.store, MemoryStore):
            self.store.server_us = us
        elif self._redis is not None:
            await set_clock(self._redis, us)


@pytest.fixture(params=["memory", "redis"])
def timed(request: pytest.FixtureRequest) -> Timed:
    if request.param == "memory":
        return Timed(MemoryStore(), None)
    redis: Redis = request.getfixturevalue("redis")
    return Timed(follow_set_clock(RedisStore(redis, NO_BACKLOG_BOUND)), redis)


NOON_US = (20_000 * DAY_MS + DAY_MS // 2) * 1000
SECOND_US = 1_000_000


async def test_pools_time_stands_still_while_the_clock_is_put_back_a_little(timed: Timed) -> None:
    """A3: it never runs back, and goes on by at least one microsecond a change."""
    await timed.set_clock(NOON_US)
    await open_pool(timed.store, odds((9, SURE)))
    first = await timed.store.draw(POOL, [intent(1, "a")])
    await timed.set_clock(NOON_US - 9 * SECOND_US)
    second = await timed.store.draw(POOL, [intent(1, "b")])
    assert (NOON_US + 1, NOON_US + 2) == (first.clock_us, second.clock_us)
    assert NOON_US // 1000 == second.now_ms
    await timed.set_clock(NOON_US + SECOND_US)
    assert NOON_US + SECOND_US == (await timed.store.draw(POOL, [intent(1, "c")])).clock_us


async def test_draws_stop_while_the_clock_is_put_back_and_go_on_when_it_is_right(
    timed: Timed,
) -> None:
    """A3: back across midnight gives no day twice; what was drawn is told all the same."""
    midnight_us = NOON_US + 12 * 3600 * SECOND_US
    config = odds((99, SURE), draws_per_day=1)
    await timed.set_clock(midnight_us + SECOND_US)
    await open_pool(timed.store, config)
    assert [DrawCode.DRAWN] == await codes(timed.store, intent(1, "a"))
    await timed.set_clock(midnight_us - 60 * SECOND_US)
    assert [DrawCode.CLOCK_OFF, DrawCode.REPLAYED] == await codes(
        timed.store, intent(1, "b"), intent(1, "a")
    )
    with pytest.raises(ClockOffError):
        await timed.store.void(POOL, intent(1, "b").digest, 1)
    changed = await timed.store.configure(POOL, 1, 2, config, "{}")
    assert ConfigureCode.CLOCK_OFF == changed.code
    await timed.set_clock(midnight_us + 60 * SECOND_US)
    assert [DrawCode.QUOTA_SPENT, DrawCode.DRAWN] == await codes(
        timed.store, intent(1, "b"), intent(2, "b")
    )


async def test_request_id_is_known_after_the_clock_has_jumped(timed: Timed) -> None:
    """A3, X2: however far ahead, and even where the jump was believed, no id draws twice."""
    await timed.set_clock(NOON_US)
    await open_pool(timed.store, odds((99, SURE)))
    await codes(timed.store, intent(1, "a"))
    for days in (2, 3):
        await timed.set_clock(NOON_US + days * DAY_MS * 1000)
        assert [DrawCode.REPLAYED] == await codes(timed.store, intent(1, "a"))
    assert [DrawCode.DRAWN] == await codes(timed.store, intent(1, "b"))
    assert [DrawCode.REPLAYED] * 2 == await codes(timed.store, intent(1, "a"), intent(1, "b"))


async def test_next_draw_is_never_told_when_no_draw_is_left_at_all(store: PoolStore) -> None:
    """Neither patience nor the next day helps a user whose quota in all is spent."""
    await open_pool(store, odds((500, SURE), draws_per_user=1, draws_per_day=1, cooldown_ms=9))
    answer = (await store.draw(POOL, [intent(1, "a")])).answers[0]
    assert (0, 0) == (answer.draws_left, answer.next_ms)


async def test_prize_limit_turns_its_share_into_a_miss(store: PoolStore) -> None:
    """A user at its limit of one prize misses it, and it stays for others."""
    config = PoolConfig(Mode.ODDS, (PrizeConfig(1, 9, SURE, wins_per_user=1),))
    await open_pool(store, config)
    drawing = await store.draw(POOL, [intent(1, "a"), intent(1, "b"), intent(2, "a")])
    assert [1, 0, 1] == [answer.draws[0].prize_id for answer in drawing.answers]


async def test_draw_of_n_is_all_or_nothing_when_stock_is_short(store: PoolStore) -> None:
    """An order larger than what is left gets nothing, and is told what is left."""
    await open_pool(store, tickets(2, 1))
    drawing = await store.draw(POOL, [intent(1, "a", draws=4), intent(2, "a", draws=3)])
    assert (drawing.answers[0].code, drawing.answers[0].detail) == (DrawCode.SOLD_OUT, 3)
    assert {1: 2, 2: 1} == Counter(drawn.prize_id for drawn in drawing.answers[1].draws)
    assert [Stock(1, 2, 0), Stock(2, 1, 0)] == await stocks(store)


async def test_last_prize_comes_with_the_last_ticket(store: PoolStore) -> None:
    """T tickets yield T + 1 items: the last prize goes to whoever takes the last ticket."""
    await open_pool(store, tickets(3, 2, last_prize=True))
    drawing = await store.draw(POOL, [intent(1, "a", draws=4), intent(2, "a")])
    first, second = ([drawn.prize_id for drawn in a.draws] for a in drawing.answers)
    assert 99 not in first
    assert 99 == second[-1]
    assert (len(second), drawing.answers[1].first_seq + 1) == (2, 6)
    assert [DrawCode.SOLD_OUT] == await codes(store, intent(3, "a"))


async def test_weights_renormalise_when_a_prize_is_sold_out(store: PoolStore) -> None:
    """WEIGHTS: what is sold out has weight 0, the rest share the whole."""
    config = PoolConfig(Mode.WEIGHTS, (PrizeConfig(1, 1, 10**9), PrizeConfig(2, -1, 1)))
    await open_pool(store, config)
    drawing = await store.draw(POOL, [intent(user, "a") for user in range(1, 50)])
    prizes = Counter(answer.draws[0].prize_id for answer in drawing.answers)
    assert {1: 1, 2: 48} == prizes
    assert drawing.answers[-1].draws[0][2:4] == (1, 1)
    assert [Stock(1, 1, 0), Stock(2, -1, -1)] == await stocks(store)


async def test_units_can_be_added_and_removed_but_not_below_won(store: PoolStore) -> None:
    """L2: the stock moves by the change of units; never below what is won."""
    await open_pool(store, odds((10, SURE)))
    await codes(store, *[intent(user, "a") for user in range(1, 5)])
    added = await store.configure(POOL, 1, 2, odds((20, SURE)), "{}")
    assert [Stock(1, 20, 16)] == list(added.stocks)
    refused = await store.configure(POOL, 2, 3, odds((3, SURE)), "{}")
    assert (refused.code, refused.detail, refused.won) == (ConfigureCode.UNITS_BELOW_WON, 1, 4)
    assert [Stock(1, 20, 16)] == await stocks(store)
    removed = await store.configure(POOL, 2, 4, odds((4, SURE)), "{}")
    assert [Stock(1, 4, 0)] == list(removed.stocks)


async def test_retired_prize_keeps_what_was_won_of_it(store: PoolStore) -> None:
    """A prize taken out keeps its winners; its other units are withdrawn."""
    config = odds((10, SURE))
    await open_pool(store, config)
    await codes(store, intent(1, "a"), intent(2, "a"))
    retired = replace(config, prizes=(replace(config.prizes[0], retired=True),))
    configured = await store.configure(POOL, 1, 2, retired, "{}")
    assert [Stock(1, 2, 0)] == list(configured.stocks)
    drawing = await store.draw(POOL, [intent(3, "a")])
    assert 0 == drawing.answers[0].draws[0].prize_id
    again = await store.configure(POOL, 2, 3, retired, "{}")
    assert [Stock(1, 2, 0)] == list(again.stocks)
    without = await store.configure(POOL, 3, 4, replace(config, prizes=()), "{}")
    assert (ConfigureCode.CONFIGURED, []) == (without.code, list(without.stocks))
    assert [] == await stocks(store)


async def test_configuration_is_refused_when_it_comes_late_or_twice(store: PoolStore) -> None:
    """A publication that arrives after a newer one changes nothing."""
    await open_pool(store, odds((10, SURE)))
    await store.configure(POOL, 1, 5, odds((11, SURE)), "{}")
    for expected, version in [(1, 2), (1, 6), (5, 5), (5, 4)]:
        late = await store.configure(POOL, expected, version, odds((99, SURE)), "{}")
        assert (late.code, late.detail) == (ConfigureCode.CONFLICT, 5)
    assert [Stock(1, 11, 11)] == await stocks(store)


async def test_configuration_is_refused_when_the_pool_has_ended(store: PoolStore) -> None:
    """X4: an ended pool never draws again, so that its seed can be revealed."""
    await open_pool(store, odds((10, SURE), status=PoolStatus.ENDED))
    reopened = await store.configure(POOL, 1, 2, odds((10, SURE)), "{}")
    assert ConfigureCode.ENDED is reopened.code
    assert [DrawCode.NOT_ONGOING] == await codes(store, intent(1, "a"))


async def test_configuration_is_refused_when_a_prize_vanishes(store: PoolStore) -> None:
    """A prize that was never retired cannot go missing, nor turn unlimited."""
    await open_pool(store, tickets(3, 2))
    gone = await store.configure(POOL, 1, 2, tickets(3), "{}")
    assert (gone.code, gone.detail) == (ConfigureCode.PRIZE_CHANGED, 2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (odds((10**9, 100_000_000), (10**9, 250_000_000)), {1: 0.1, 2: 0.25, 0: 0.65}),
        (tickets(10**9, 3 * 10**9 // 4, 10**9 // 4), {1: 0.5, 2: 0.375, 3: 0.125}),
        (
            PoolConfig(Mode.WEIGHTS, (PrizeConfig(1, -1, 7), PrizeConfig(2, -1, 3))),
            {1: 0.7, 2: 0.3},
        ),
    ],
    ids=["odds", "tickets", "weights"],
)
async def test_outcomes_fit_their_distribution(
    store: PoolStore, config: PoolConfig, expected: dict[int, float]
) -> None:
    """P5: 20 000 draws with fixed seeds fit the theory (chi-square, p > 0.05)."""
    await open_pool(store, config)
    seen: Counter[int] = Counter()
    for start in range(0, 20_000, 500):
        drawing = await store.draw(POOL, [intent(start + i + 1, "chi") for i in range(500)])
        seen.update(answer.draws[0].prize_id for answer in drawing.answers)
    observed = [seen[prize] for prize in expected]
    assert sum(observed) == 20_000
    assert chisquare(observed, [share * 20_000 for share in expected.values()]).pvalue > 0.05
