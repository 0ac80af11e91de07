"""What still holds afterwards: a restart forgets no draw, and the seed accounts for all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

from demo.checks import Check
from demo.crowd import for_each
from demo.lottery.act import Played
from demo.lottery.doors import Ack, JsonDoor
from demo.stage import Stage
from ops.ledger.checker import Checker
from ops.ledger.file import Header
from ops.ledger.reader import read_header, read_ledger
from services.common.postgres import Connection
from services.pool.rule.replay import DiscrepancyError

_SAMPLE = 50
_REVEAL_S = 30.0
_POLL_S = 0.1


async def checks_afterwards(
    stage: Stage, played: Played, kill_draw_service: Callable[[], None]
) -> list[Check]:
    """Kill what draws and ask again; end the activity, and replay all of it from the seed."""
    task = stage.bars.add_task("asking again", total=2, note="after a kill")
    every = max(1, len(played.game.acks) // _SAMPLE)
    sample = played.game.acks[::every]
    kill_draw_service()
    retries = list(_forgotten(sample, await _ask_again(stage, played, sample)))
    stage.bars.advance(task)
    await _end(stage, played.campaign.activity_id)
    replay = await _replayed(stage, played.campaign.pool_id)
    public = [problem async for problem in _unproven(stage, sample)]
    stage.bars.advance(task)
    return [
        Check(f"{len(sample)} draws, asked for again after kill -9, are the same ones", retries),
        Check("the revealed seed gives every draw again, in order", replay),
        Check("anyone who asks for a draw's proof is told that it is valid", public),
    ]


async def _ask_again(stage: Stage, played: Played, sample: Sequence[Ack]) -> list[Ack]:
    door = JsonDoor(stage.edge, played.campaign.activity_id)
    tokens = {player.user_id: player.token for player in played.players}

    def again(ack: Ack) -> Awaitable[Ack]:
        return door.draw(ack.user_id, tokens[ack.user_id], ack.request_id)

    return await for_each(sample, again)


def _forgotten(sample: Sequence[Ack], again: Sequence[Ack]) -> Iterator[str]:
    for first, second in zip(sample, again, strict=True):
        if second.outcome != first.outcome._replace(replayed=True):
            yield f"user {first.user_id}: {first.outcome}, asked again: {second.outcome}"


async def _end(stage: Stage, activity_id: int) -> None:
    token = await stage.log_in()
    path = f"/admin/api/activities/{activity_id}"
    await stage.edge.call("PUT", path, token, {"status": "ended"})


async def _replayed(stage: Stage, pool_id: int) -> list[str]:
    try:
        async with stage.stores.postgres.acquire() as connection:
            header = await _revealed(connection, pool_id)
            if header.seed is None:
                return [f"pool {pool_id}: its seed was not revealed within {_REVEAL_S:.0f} s"]
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                header = await read_header(connection, pool_id)
                checker = Checker(header, bytes.fromhex(header.seed or ""), lambda _: None)
                async for record in read_ledger(connection, pool_id):
                    checker.feed(record)
                checker.finish()
    except DiscrepancyError as error:
        return [str(error)]
    return []


async def _revealed(connection: Connection, pool_id: int) -> Header:
    """The pool's header once it has the seed, or had its time for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REVEAL_S):
            while (await read_header(connection, pool_id)).seed is None:  # noqa: ASYNC110  # nothing tells us
                await asyncio.sleep(_POLL_S)
    return await read_header(connection, pool_id)


async def _unproven(stage: Stage, sample: Sequence[Ack]) -> AsyncIterator[str]:
    for ack in sample:
        draw_id = ack.outcome.draw_id
        proof = await stage.edge.get(f"/api/lottery/result/{draw_id}/verification")
        if not (proof["valid"] and proof["seed"]):
            yield f"{draw_id}: {proof['explanation']}"
