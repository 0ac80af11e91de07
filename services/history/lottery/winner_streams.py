"""The stream of winners, as its listeners read it: Server-Sent Events, or messages."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from kuji.history.v1 import history_pb2 as pb

from services.common.draw_id import parse_draw_id
from services.common.errors import InvalidArgumentError, NotFoundError, OverloadedError
from services.history.lottery.feed import News, WinnerFeed
from services.history.lottery.messages import winner_message
from services.history.lottery.winners import Winner, WinnerStore

_EVENTS = "text/event-stream"
_HEARTBEAT = HttpBody(content_type=_EVENTS, data=b":\n\n")
# Those whose stream ended all at once do not come back all at once.
_COME_BACK_MS = range(1000, 3000)
_UNKNOWN = -1  # no number of a winner


def event_of(winner: Winner) -> bytes:
    """A winner as an event."""
    fields = json_format.MessageToDict(
        winner_message(winner),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    data = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return f"id: {winner.win_no}\ndata: {data}\n\n".encode()


class WinnerStreams:
    """
    The winners as they are recorded.

    Args:
        feed: Tells of them.
        winners: Knows the earlier ones.
    """

    def __init__(self, feed: WinnerFeed, winners: WinnerStore) -> None:
        self._feed = feed
        self._winners = winners

    async def events(
        self, activity_id: int, last_event_id: str, address: str
    ) -> AsyncIterator[HttpBody]:
        """Server-Sent Events for a listener at *address*; see the proto, and WinnerFeed.listen."""
        after = _place_of(last_event_id) if last_event_id else None
        async with aclosing(self._feed.listen(activity_id, after, address)) as heard:
            yield _opening(await anext(heard))
            async for news in heard:
                yield _body_of(news)

    async def messages(
        self, activity_id: int, after_draw_id: str, address: str
    ) -> AsyncIterator[pb.Winner | None]:
        """None, and the winners; see the proto, and WinnerFeed.listen."""
        after = await self._place_after(after_draw_id) if after_draw_id else None
        async with aclosing(self._feed.listen(activity_id, after, address)) as heard:
            if (await anext(heard)).missed:
                raise InvalidArgumentError("after_draw_id", "after_draw_id lies too far back.")
            yield None
            async for news in heard:
                if news.missed:
                    raise OverloadedError("You read too slowly; subscribe again.")
                for win in news.wins:
                    yield winner_message(win.winner)

    async def _place_after(self, draw_id: str) -> int:
        win_no = await self._winners.win_no_of(parse_draw_id(draw_id))
        if win_no is None:
            raise NotFoundError("No draw of that id has won.")
        return win_no


def _place_of(event_id: str) -> int:
    is_number = event_id.isascii() and event_id.isdigit() and len(event_id) < 19
    return int(event_id) if is_number else _UNKNOWN


def _opening(news: News) -> HttpBody:
    text = f"retry: {random.choice(_COME_BACK_MS)}\nid: {news.place}\n\n"  # noqa: S311
    if news.missed:
        text += _missed(news)
    return HttpBody(content_type=_EVENTS, data=text.encode())


def _missed(news: News) -> str:
    return f'id: {news.place}\nevent: missed\ndata: {{"up_to":"{news.place}"}}\n\n'


def _body_of(news: News) -> HttpBody:
    if news.missed:
        return HttpBody(content_type=_EVENTS, data=_missed(news).encode())
    if not news.wins:
        return _HEARTBEAT
    return HttpBody(content_type=_EVENTS, data=b"".join([win.event for win in news.wins]))
