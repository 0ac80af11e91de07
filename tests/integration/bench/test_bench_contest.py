"""A contest is won by drawing: who answers without it, or loses what it drew, fails the run."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.bench.contest import window
from tests.bench.contest.jobs import ContestTally
from tests.bench.contest.kill import kill_in_the_middle
from tests.bench.contest.lottery import OFFERS, Opened
from tests.bench.contest.measures import figure_of
from tests.bench.contest.sides import Crowd, Record, Side
from tests.bench.contest.window import Window, draw
from tests.bench.figures import Alternation
from tests.bench.pools import BooksError
from tests.bench.report import verdict

USERS = 40
CUP = 3  # of 10 units
Answer = Callable[[Record], tuple[str, bytes]]


def drawn(record: Record) -> tuple[str, bytes]:
    """The answer that tells of *record*."""
    prize = {"prize_id": str(record.prize_id), "name": "?"} if record.prize_id else None
    data = {"draw_id": record.draw_id, "won": prize is not None, "prize": prize}
    return "200 OK", json.dumps({"status": 1, "msg": "ok", "data": data}).encode()


class Stranger(Side):
    """A server that answers as it likes, and has on record what it likes."""

    def __init__(self, port: int, crowd: Crowd, answer: Answer, prize_id: int) -> None:
        super().__init__("a stranger", port, crowd)
        self.drawn: list[Record] = []
        self.on_record: list[Record] = []
        self.says_recorded = USERS
        self._answer = answer
        self._prize_id = prize_id
        self._connections: set[asyncio.StreamWriter] = set()
        self._is_dead = False

    async def open_activity(self) -> Opened:
        """Of the usual prizes."""
        return Opened(1, dict(enumerate(OFFERS, start=1)))

    async def recorded(self, opened: Opened) -> int:
        """What it says of itself."""
        return self.says_recorded

    async def records(self, opened: Opened) -> Iterable[Record]:
        """What there is."""
        return self.on_record

    def cpu_s(self) -> float:
        """Nobody looks."""
        return 1.0

    def kill(self) -> None:
        """Hang up on everybody."""
        self._is_dead = True
        for connection in self._connections:
            connection.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other."""
        self._connections.add(writer)
        try:
            while not self._is_dead:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
                writer.write(self._answer_to(head))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer_to(self, head: bytes) -> bytes:
        token = re.search(rb"Bearer [^.]*\.([^.]*)", head)
        assert token is not None
        user_id = int(json.loads(base64.urlsafe_b64decode(token[1] + b"=="))["sub"])
        record = Record(user_id, f"1-{len(self.drawn) + 1}", self._prize_id)
        self.drawn.append(record)
        status, body = self._answer(record)
        return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def stranger(
    folder: Path, answer: Answer = drawn, prize_id: int = 0
) -> AsyncIterator[Stranger]:
    """One that listens."""
    tokens = folder / "tokens"
    claims = [json.dumps({"sub": str(number)}).encode() for number in range(1, USERS + 1)]
    lines = [f"e30.{base64.urlsafe_b64encode(each).decode().rstrip('=')}.s\n" for each in claims]
    tokens.write_text("".join(lines))
    side = Stranger(0, Crowd(tokens, USERS), answer, prize_id)
    server = await asyncio.start_server(side.serve, "127.0.0.1", 0)
    side.port = server.sockets[0].getsockname()[1]
    async with server:
        yield side
        side.kill()


async def test_contest_counts_every_answer_when_all_are_on_record(tmp_path: Path) -> None:
    """Who draws for each user once, and has it on record, passes."""
    async with stranger(tmp_path) as side:
        side.on_record = side.drawn
        seen = await draw(side, USERS)
    assert (USERS, {}) == (seen.tally.draws, seen.tally.failures)
    assert list(range(1, USERS + 1)) == sorted(record.user_id for record in side.drawn)


async def test_contest_fails_when_a_server_answers_without_drawing(tmp_path: Path) -> None:
    """Answers that look right, and say so, count for nothing without their records."""
    async with stranger(tmp_path) as side:
        with pytest.raises(BooksError, match=f"'lost or changed': {USERS}"):
            await draw(side, USERS)


async def test_contest_fails_when_the_records_do_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is never done with its records does not hold up the run for ever."""
    monkeypatch.setattr(window, "_RECORDED_TIMEOUT_S", 0.1)
    async with stranger(tmp_path) as side:
        side.says_recorded = USERS - 1
        with pytest.raises(BooksError, match=f"{USERS} draws were answered, and not recorded"):
            await draw(side, USERS)


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (lambda record: ("200 OK", b'{"status": 1, "msg": "ok", "data": {}}'), "no draw"),
        (lambda record: ("503 Service Unavailable", b"busy"), "503: busy"),
        (lambda record: drawn(record._replace(prize_id=4)), "'lost or changed': 40"),
    ],
)
async def test_contest_fails_when_an_answer_is_not_the_draw(
    tmp_path: Path, answer: Answer, finding: str
) -> None:
    """Nonsense, refusals, and prizes that were not drawn are found."""
    async with stranger(tmp_path, answer) as side:
        side.on_record = side.drawn
        with pytest.raises(BooksError, match=finding):
            await draw(side, USERS)


async def test_contest_fails_when_a_prize_has_more_winners_than_units(tmp_path: Path) -> None:
    """Overselling is no way to be fast."""
    async with stranger(tmp_path, prize_id=CUP) as side:
        side.on_record = side.drawn
        with pytest.raises(BooksError, match=f"'Cup': {USERS - 10}"):
            await draw(side, USERS)


async def test_kill_counts_answered_draws_that_are_not_on_record(tmp_path: Path) -> None:
    """Of what was answered before the end, the first three got on record."""
    async with stranger(tmp_path) as side:
        opened_on_record = side.on_record
        loss = await kill_in_the_middle(side, USERS, patience_s=0.0, still_s=0.0)
        assert loss.answered >= USERS // 2
        assert loss.answered == loss.lost
        assert opened_on_record == []


@pytest.mark.parametrize(("cpu_s", "expected"), [(0.5, "met"), (0.95, "invalid")])
def test_figure_is_invalid_when_the_generator_was_the_limit(cpu_s: float, expected: str) -> None:
    """A rate that a busy generator set says nothing of what it called."""
    tally = ContestTally(100, 0.0, 1.0, cpu_s, {}, 0.1, 0.2, has_run_out=False)
    windows = [Window(tally, 1.0, 1.0)]
    figure = figure_of("M4", "", Alternation([9.0], [1.0]), "A", windows, windows)
    assert expected in verdict(figure, is_smoke=False)
