"""
Replays a ledger, draw by draw, and finds the first that does not follow.

Pure: what it needs is the ledger and the revealed seed. It recomputes every roll, selection,
stock, limit and link with the engine that the script in Redis is tested against.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgpack

from services.pool.rule import engine, fairness
from services.pool.rule.prize_code import CODE_BYTES, OLD_CODE_BYTES
from services.pool.rule.selection import ROLL_BYTES
from services.pool.rule.terms import (
    DAY_MS,
    Answer,
    ConfigureCode,
    DrawCode,
    Drawn,
    Intent,
    PoolConfig,
    PoolStatus,
    Quota,
    Stock,
)

_NO_BOUND = 1 << 60
_MAX_DRAWS = 100  # of one request
_Packed = tuple[int | str, ...]


class DrawRecord(NamedTuple):
    """A draw as recorded; prize_id 0: a miss. See docs/redis-keys.md."""

    user_id: int
    request_id: str
    draw_index: int
    draw_count: int
    user_draw_no: int
    prize_id: int
    ticket: int
    weight: int
    total: int


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """
    Draws of one script call, the first one at *first_seq*.

    Args:
        draws: Those that belong together; none where already the first one does not.
        link: 40 hexadecimal digits; None: the entry breaks off after these draws.
    """

    first_seq: int
    drawn_ms: int
    version: int
    draws: Sequence[DrawRecord]
    link: str | None

    @property
    def last_seq(self) -> int:
        """Of the last draw."""
        return self.first_seq + len(self.draws) - 1


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """A configuration that holds for the draws after *after_seq*; *document*: its JSON, exactly."""

    after_seq: int
    version: int
    config: PoolConfig
    document: str
    stocks: Sequence[Stock]
    changed_ms: int
    link: str


@dataclass(frozen=True, slots=True)
class GapRecord:
    """Places that were never used, noted by a rebuild."""

    first_seq: int
    last_seq: int


LedgerRecord = EntryRecord | ConfigRecord | GapRecord


class DiscrepancyError(Exception):
    """
    A record does not follow from what came before it.

    Args:
        seq: The first draw concerned; 0: all of them.
        reason: One sentence.
    """

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"Draw {seq}: {reason}" if seq else reason)
        self.seq = seq
        self.reason = reason


class Replay:
    """
    A pool, replayed.

    Args:
        pool_id: The pool.
        seed: Revealed, 32 bytes.
        seed_commitment: Published before the first draw, 32 bytes.

    Raises:
        DiscrepancyError: The seed is not the one committed to.
    """

    def __init__(self, pool_id: int, seed: bytes, seed_commitment: bytes) -> None:
        if fairness.commitment(seed) != seed_commitment:
            raise DiscrepancyError(0, "The seed is not the one that was committed to.")
        self._roller = fairness.Roller(seed, pool_id)
        self._state = engine.PoolState()
        self._draws_of: defaultdict[int, int] = defaultdict(int)
        self._link = ""

    @property
    def seq(self) -> int:
        """Newest draw replayed."""
        return self._state.seq

    @property
    def version(self) -> int:
        """Newest configuration replayed."""
        return self._state.version

    def feed(self, record: LedgerRecord) -> None:
        """
        Replay the next record.

        Raises:
            DiscrepancyError: It does not follow.
        """
        match record:
            case EntryRecord():
                self._feed_entry(record)
            case ConfigRecord():
                self._feed_config(record)
            case GapRecord():
                self._feed_gap(record)

    def _feed_config(self, record: ConfigRecord) -> None:
        if record.after_seq != self.seq:
            raise DiscrepancyError(
                self.seq + 1,
                f"Configuration {record.version} was made after draw {record.after_seq}, "
                f"and stands after draw {self.seq}.",
            )
        configured = engine.configure(
            self._state, self._state.version, record.version, record.config, record.changed_ms
        )
        if configured.code is not ConfigureCode.CONFIGURED:
            raise DiscrepancyError(
                self.seq + 1, f"Configuration {record.version}: {configured.code.name}."
            )
        if sorted(configured.stocks) != sorted(record.stocks):
            raise DiscrepancyError(
                self.seq + 1, f"Configuration {record.version} leaves other units than recorded."
            )
        units = msgpack.packb(record.stocks)
        content = record.document.encode() + units + str(record.changed_ms).encode()
        self._follow(f"{record.after_seq}-{record.version}", [content], record.link, self.seq + 1)

    def _feed_gap(self, record: GapRecord) -> None:
        if not self.seq + 1 == record.first_seq <= record.last_seq:
            raise DiscrepancyError(self.seq + 1, "A gap was noted elsewhere than it is.")
        self._state.seq = record.last_seq

    def _feed_entry(self, record: EntryRecord) -> None:
        first_seq = record.first_seq
        if first_seq != self.seq + 1:
            raise DiscrepancyError(self.seq + 1, f"It is missing; draw {first_seq} comes next.")
        if record.version != self._state.version:
            raise DiscrepancyError(
                first_seq,
                f"It names configuration {record.version}; {self._state.version} held.",
            )
        packed = self._redraw(first_seq, record)
        if record.link is None:
            raise DiscrepancyError(
                self.seq + 1, "It is missing, or does not belong with the one before it."
            )
        contents = (_content(record, draws) for draws in ([d[:-1] for d in packed], packed))
        self._follow(f"{record.last_seq}-0", contents, record.link, first_seq)

    def _redraw(self, first_seq: int, record: EntryRecord) -> list[_Packed]:
        """Draw again what an entry drew; each draw as an old ledger has it, code bytes and all."""
        starts = [at for at, draw in enumerate(record.draws) if at == 0 or draw.draw_index == 0]
        intents = [self._intent(first_seq + at, record.draws[at]) for at in starts]
        self._forget(intents, record.drawn_ms)
        drawing = engine.draw(self._state, intents, record.drawn_ms, self.seq, _NO_BOUND)
        packed: list[_Packed] = []
        ends = [*starts, len(record.draws)][1:]
        for start, end, answer in zip(starts, ends, drawing.answers, strict=True):
            follow = self._ledgered(record.draws[start], answer.draws)
            for at, drawn in zip(range(start, end), follow, strict=False):
                if record.draws[at] != drawn[:-1]:
                    raise DiscrepancyError(first_seq + at, _difference(record.draws[at], drawn))
            if len(follow) != end - start:
                # Some are missing only where the entry breaks off; else the number is wrong.
                at = min(start + len(follow), end)
                at = start if at == end and record.link is not None else at
                raise DiscrepancyError(first_seq + at, _refusal(answer, end - start))
            packed += follow
        return packed

    def _forget(self, intents: Sequence[Intent], now_ms: int) -> None:
        """Forget what these request ids drew a day ago: a store need not know it any more."""
        for intent in intents:
            for known in (self._state.requests.today, self._state.requests.before):
                request = known.get(intent.digest)
                if request is not None and request.drawn_ms + DAY_MS <= now_ms:
                    del known[intent.digest]

    def _ledgered(self, first: DrawRecord, draws: Sequence[Drawn]) -> list[_Packed]:
        """The *draws* of one request as the ledger must have them."""
        user_id, request_id, _, count, *_ = first
        before = self._draws_of[user_id]
        self._draws_of[user_id] = before + count
        # A last prize is the user's same draw: it counts no further.
        return [
            (
                user_id,
                request_id,
                index,
                count,
                before + min(index + 1, count),
                *drawn[:4],
                drawn.code_bytes[:OLD_CODE_BYTES].decode(errors="surrogateescape"),
            )
            for index, drawn in enumerate(draws)
        ]

    def _intent(self, seq: int, first: DrawRecord) -> Intent:
        user_id, request_id, _, count, *_ = first
        if not 1 <= count <= _MAX_DRAWS:
            raise DiscrepancyError(seq, f"It is one of {count} at once; 1 to {_MAX_DRAWS} are.")
        rolls = self._roller.rolls(user_id, request_id, count)
        # The engine takes any name that is unique; the digest only saves memory in Redis.
        digest = f"{user_id}|{request_id}".encode()
        return Intent(user_id, request_id, digest, count, rolls, _old_codes(rolls))

    def _follow(self, stream_id: str, contents: Iterable[bytes], link: str, seq: int) -> None:
        """See that *link* is that of one of *contents*: a ledger has old entries and new ones."""
        before = f"{self._link}{stream_id}".encode()
        links = (hashlib.sha1(before + one, usedforsecurity=False).hexdigest() for one in contents)
        if link not in links:
            raise DiscrepancyError(seq, "Its link does not follow: something up to here changed.")
        self._link = link


def _content(record: EntryRecord, draws: Sequence[_Packed]) -> bytes:
    """What an entry's link is over."""
    body = [record.drawn_ms, record.version, draws]
    packed: bytes = msgpack.packb(body, unicode_errors="surrogateescape")
    return packed


def _old_codes(rolls: bytes) -> bytes:
    """
    Code bytes as they were when links covered them: the end of each roll; of a last prize, what
    stands before that in the last roll. Of today's codes a replay knows nothing, nor needs to.
    """
    ends = range(ROLL_BYTES, len(rolls) + 1, ROLL_BYTES)
    old = [rolls[end - OLD_CODE_BYTES : end] for end in ends]
    old.append(rolls[-2 * OLD_CODE_BYTES : -OLD_CODE_BYTES])
    return b"".join(code.ljust(CODE_BYTES, b"\0") for code in old)


def _difference(record: DrawRecord, expected: _Packed) -> str:
    different = [
        f"{name} is {mine}, and follows as {theirs}"
        for name, mine, theirs in zip(record._fields, record, expected, strict=False)
        if mine != theirs
    ]
    return "; ".join(different) + "."


def _refusal(answer: Answer, places: int) -> str:
    if answer.code is DrawCode.DRAWN:
        return f"Its request gives {answer.places} draws; {places} are recorded."
    return f"It was not allowed: {_why(answer)}."


def _why(answer: Answer) -> str:
    match answer.code:
        case DrawCode.NOT_ONGOING:
            return f"the pool was {PoolStatus(answer.detail).name.lower()}"
        case DrawCode.QUOTA_SPENT:
            return f"the quota {Quota(answer.detail).name.lower()} was spent"
        case DrawCode.COOLDOWN:
            return f"the cooldown had {answer.detail} ms to go"
        case DrawCode.PROTECTED:
            return f"the pool was another user's for {answer.detail} ms more"
        case DrawCode.SOLD_OUT:
            return f"{answer.detail} units were left"
        case DrawCode.REPLAYED:
            return f"its request id had drawn at {answer.first_seq}"
    return answer.code.name.lower()
