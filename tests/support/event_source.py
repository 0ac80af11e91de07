"""A reader of Server-Sent Events that does what browsers do, and what the standard says."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import httpx


class Event(NamedTuple):
    """An event; name "message" where it has none."""

    name: str
    id: str
    data: str


class EventSource:
    """
    Comes back by itself, with the id of its last event; ends for good on what is no such stream.

    Args:
        url: The stream's.
        longest_pause_s: Comes back no later than that, whatever the stream says.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, longest_pause_s: float = 0.2) -> None:
        self._http = http
        self._url = url
        self._longest_pause_s = longest_pause_s
        self.events: list[Event] = []
        self.heartbeats = 0
        self.retries_ms: list[int] = []
        self.opened = 0
        self.last_event_id = ""
        self.is_closed_for_good = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled, or closed for good."""
        while not self.is_closed_for_good:
            with suppress(httpx.HTTPError):  # the connection was cut
                await self._listen()
            pause_s = self.retries_ms[-1] / 1000 if self.retries_ms else 1.0
            await asyncio.sleep(min(pause_s, self._longest_pause_s))

    async def until(self, holds: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something came after which *holds* says so."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def data_of(self, name: str) -> list[str]:
        """The data of the events of that name."""
        return [event.data for event in self.events if event.name == name]

    async def _listen(self) -> None:
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self.last_event_id:
            headers["last-event-id"] = self.last_event_id
        async with self._http.stream("GET", self._url, headers=headers, timeout=30) as response:
            kind = response.headers.get("content-type", "").partition(";")[0]
            if (response.status_code, kind) != (200, "text/event-stream"):
                self.is_closed_for_good = True
                self._changed.set()
                return
            self.opened += 1
            block: list[str] = []
            async for line in response.aiter_lines():
                if line:
                    block.append(line)
                    continue
                self._dispatch(block)
                block = []
                self._changed.set()

    def _dispatch(self, block: list[str]) -> None:
        fields: dict[str, str] = {}
        for line in block:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        self.heartbeats += "" in fields
        if re.fullmatch(r"\d+", fields.get("retry", "")):
            self.retries_ms.append(int(fields["retry"]))
        self.last_event_id = fields.get("id", self.last_event_id)
        if "data" in fields:
            name = fields.get("event", "message")
            self.events.append(Event(name, fields.get("id", ""), fields["data"]))
