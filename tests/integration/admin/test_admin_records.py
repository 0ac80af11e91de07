"""The CSV of an activity's draws, over gRPC from a real Postgres."""

import csv
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import StringIO

import asyncpg
import pytest
from kuji.admin.v1.admin_pb2 import StreamRecordsRequest

from services.admin.lottery.records import CHUNK_ROWS, COLUMNS, INCOMPLETE, RecordsExport
from services.admin.store import Store
from tests.support.admin import Caller, World, failure, open_world

DRAWN = datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC)


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service with one activity, whose pool is the first."""
    async with open_world(postgres, postgres_dsn) as opened:
        await opened.activity()
        yield opened


async def record(
    world: World,
    first: int,
    last: int,
    prize: str | None = None,
    user_id: int = 1,
    pool_id: int = 1,
) -> None:
    """Draws *first*…*last* of a pool, wins of *prize* or misses, as the recorder leaves them."""
    prize_id = None if prize is None else 9
    arguments = (pool_id, first, last, user_id, prize_id, prize, DRAWN)
    await world.postgres.execute(
        "INSERT INTO lottery_records (pool_id, seq, activity_id, user_id, request_id, draw_index,"
        " draw_count, user_draw_no, version, prize_id, prize_name, ticket, odds_weight, odds_total,"
        " created_at) SELECT $1, seq, $1, $4, 'r' || seq, 0, 1, 1, 1, $5, $6, 0, 1, 4, $7"
        " FROM generate_series(CAST($2 AS bigint), $3) AS seq",
        *arguments,
    )
    if prize is not None:
        await world.postgres.execute(
            "INSERT INTO winners (win_no, pool_id, pool_win_no, seq, activity_id, user_id,"
            " prize_id, prize_name, prize_code, won_at) SELECT $1 * 100000 + seq, $1, seq, seq, $1,"
            " $4, $5, $6, $1 || '-' || seq, $7 FROM generate_series(CAST($2 AS bigint), $3) AS seq",
            *arguments,
        )
    await world.postgres.execute("UPDATE pools SET recorded_seq = $2 WHERE id = $1", pool_id, last)


async def export(world: World, activity_id: int = 1, won_only: bool = False) -> list[list[str]]:
    """The lines after the first."""
    request = StreamRecordsRequest(activity_id=activity_id, won_only=won_only)
    pieces = await world.admin.read(request)
    assert {"text/csv; charset=utf-8"} == {piece.content_type for piece in pieces}
    text = b"".join(piece.data for piece in pieces)
    assert text.startswith(BOM_UTF8), "a spreadsheet would take it for another encoding"
    lines = StringIO(text.decode("utf-8-sig"), newline="")
    head, *rows = csv.reader(lines)
    assert list(COLUMNS) == head
    return rows


async def test_export_shows_every_column(world: World) -> None:
    """A win and a miss, with names, ids, time and odds."""
    user_id = await world.user("alice")
    await world.postgres.execute("UPDATE accounts SET email = 'alice@example.com'")
    await record(world, 1, 1, "Bear", user_id)
    await record(world, 2, 2, None, user_id)
    time = "2026-05-01T12:00:00.250Z"
    assert [
        [
            *("1-1", "1", str(user_id), "alice", "9", "Bear", "true", "r1", time, "0.25"),
            *("1-1", "alice@example.com", "open"),
        ],
        [
            *("1-2", "1", str(user_id), "alice", "", "", "false", "r2", time, "0.25"),
            *("", "alice@example.com", ""),
        ],
    ] == await export(world)


async def test_export_has_a_format_for_programs_and_one_for_who_sends_prizes(world: World) -> None:
    """No mark before the plain text; who won what, its code, where to, and whether it was sent."""
    user_id = await world.user("alice")
    await world.postgres.execute("UPDATE accounts SET email = 'alice@example.com'")
    await record(world, 1, 1, None, user_id)
    await record(world, 2, 3, "Bear", user_id)
    await world.postgres.execute(
        "INSERT INTO prize_claims (prize_code, redeemed_at, redeemed_by) VALUES ('1-3', now(), 'x')"
    )

    async def text(kind: str) -> list[str]:
        pieces = await world.admin.read(StreamRecordsRequest(activity_id=1, format=kind))
        return b"".join(piece.data for piece in pieces).decode().splitlines()

    spreadsheet, plain = await text("spreadsheet"), await text("plain")
    assert spreadsheet == await text("")
    assert ["\ufeff" + plain[0], *plain[1:]] == spreadsheet
    time = "2026-05-01T12:00:00.250Z"
    assert [
        "\ufeffprize_name,prize_code,status,username,email,user_id,created_at,draw_id",
        f"Bear,1-2,open,alice,alice@example.com,{user_id},{time},1-2",
        f"Bear,1-3,redeemed,alice,alice@example.com,{user_id},{time},1-3",
    ] == await text("delivery")
    request = StreamRecordsRequest(activity_id=1, format="pdf")
    assert ("INVALID_ARGUMENT", {"field": "format"}) == await failure(world.admin.read(request))


async def test_export_is_a_heading_when_nothing_is_drawn(world: World) -> None:
    """An activity without draws is no error."""
    assert [] == await export(world)


async def test_export_holds_every_draw_once_when_it_takes_many_pieces(world: World) -> None:
    """Pieces join without a gap or a repetition, in the ledger's order."""
    count = 2 * CHUNK_ROWS + 1
    await record(world, 1, count)
    assert [f"1-{seq}" for seq in range(1, count + 1)] == [line[0] for line in await export(world)]


async def test_export_comes_in_pieces_of_bounded_size(world: World) -> None:
    """However many draws there are, a piece has at most so many."""
    await record(world, 1, 2 * CHUNK_ROWS + 1)
    pieces = await world.admin.read(StreamRecordsRequest(activity_id=1))
    assert [1, CHUNK_ROWS, CHUNK_ROWS, 1] == [piece.data.count(b"\r\n") for piece in pieces]


async def test_export_of_wins_leaves_out_the_misses(world: World) -> None:
    """Also where wins are rare and far apart."""
    for first, last, prize in ((1, 3, None), (4, 4, "Bear"), (5, 1500, None), (1501, 1501, "Cat")):
        await record(world, first, last, prize)
    lines = await export(world, won_only=True)
    assert [("1-4", "Bear"), ("1-1501", "Cat")] == [(line[0], line[5]) for line in lines]


async def test_export_of_wins_holds_each_once_when_it_takes_many_pieces(world: World) -> None:
    """Pieces join here too."""
    count = CHUNK_ROWS + 1
    await record(world, 1, count, "Bear")
    lines = await export(world, won_only=True)
    assert [f"1-{seq}" for seq in range(1, count + 1)] == [line[0] for line in lines]


async def test_export_leaves_out_other_activities(world: World) -> None:
    """Two activities drew; one is asked for."""
    other = await world.activity()
    await record(world, 1, 2)
    await record(world, 1, 1, pool_id=other.pool_id)
    assert ["2-1"] == [line[0] for line in await export(world, other.activity_id)]


async def test_export_keeps_texts_in_their_cells(world: World) -> None:
    """Commas, quotes and line breaks do not break a line, and formulas are defused."""
    names = ['a,"b"\r\nc', '=HYPERLINK("x")', "@x", "赏"]
    user_id = await world.user("-alice")
    for seq, name in enumerate(names, 1):
        await record(world, seq, seq, name, user_id)
    lines = await export(world)
    assert [names[0], "'" + names[1], "'@x", "赏"] == [line[5] for line in lines]
    assert {"'-alice"} == {line[3] for line in lines}


async def test_export_holds_draws_of_users_who_are_gone(world: World) -> None:
    """A draw without its user is still a draw."""
    await record(world, 1, 1, user_id=99)
    assert [("99", "")] == [(line[2], line[3]) for line in await export(world)]


async def test_export_ends_at_what_was_recorded_when_it_began(world: World) -> None:
    """Draws that are recorded meanwhile do not keep it going."""
    await record(world, 1, 3)
    await world.postgres.execute("UPDATE pools SET recorded_seq = 2")
    assert ["1-1", "1-2"] == [line[0] for line in await export(world)]


async def test_export_says_so_when_it_fails_midway(world: World, postgres_dsn: str) -> None:
    """Who sees the text alone is not left with half of it; the error follows."""
    await record(world, 1, 5)
    async with asyncpg.create_pool(postgres_dsn, min_size=0) as pool:
        pieces = RecordsExport(Store(pool), chunk_rows=2).pieces(1, won_only=False)
        assert [1, 2] == [(await anext(pieces)).count(b"\r\n") for _ in range(2)]
        await pool.close()
        assert f"{INCOMPLETE}\r\n" == (await anext(pieces)).decode()
        with pytest.raises(asyncpg.InterfaceError):
            await anext(pieces)


@pytest.mark.parametrize("activity_id", [0, -1, 99])
async def test_export_of_an_unknown_activity_is_not_found(world: World, activity_id: int) -> None:
    """Nothing is sent before the refusal."""
    request = StreamRecordsRequest(activity_id=activity_id)
    assert ("ACTIVITY_NOT_FOUND", {}) == await failure(world.admin.read(request))


@pytest.mark.parametrize(
    ("role", "reason"), [(None, "UNAUTHENTICATED"), ("user", "PERMISSION_DENIED")]
)
async def test_export_needs_the_admin_role(world: World, role: str | None, reason: str) -> None:
    """Who drew what is nobody else's business."""
    token = None if role is None else world.auth.token(2, "mallory", role)
    caller = Caller(world.channel, token)
    assert reason == (await failure(caller.read(StreamRecordsRequest(activity_id=1))))[0]
