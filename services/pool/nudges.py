"""Words that one process says to others through the store: lost ones are not said again."""

from collections.abc import Callable
from typing import Never

from redis.asyncio import Redis

from services.common.tasks import Trouble, end_if_cancelled, pause

_SILENCE_S = 5.0  # then the connection is looked at, if its client does so


async def listen(
    redis: Redis, channel: str, on_word: Callable[[bytes], None], on_open: Callable[[], None]
) -> Never:
    """
    Call *on_word* with each word said in *channel*, until cancelled; Redis may come and go.

    Args:
        redis: A client that does not decode responses.
        on_open: Called whenever it begins to listen: some words may have been missed.
    """
    trouble = Trouble("nudges")

    async def listen_once() -> Never:
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            on_open()
            trouble.over()
            while True:
                end_if_cancelled()
                message = await pubsub.get_message(
                    ignore_subscribe_messages=True, timeout=_SILENCE_S
                )
                if message is not None:
                    on_word(message["data"])

    while True:
        await pause(await trouble.survived(listen_once()))
