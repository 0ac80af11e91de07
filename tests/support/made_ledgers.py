"""Ledgers that the pure engine made, without any store."""

import hashlib
from collections.abc import Iterator

import msgpack
from kuji.draw.v1 import pool_pb2

from ops.ledger.file import Header, header_line, record_line
from services.pool.configuration import config_of, document_of
from services.pool.rule import engine, fairness
from services.pool.rule.replay import (
    ConfigRecord,
    DrawRecord,
    EntryRecord,
    GapRecord,
    LedgerRecord,
)
from services.pool.rule.terms import DrawCode, DrawTicket, PoolConfig
from tests.support.draws import NO_BACKLOG_BOUND, SEED, intent

START_MS = 1_700_000_000_000


class Ledger:
    """
    Makes the records of pool 1 as docs/redis-keys.md describes them.

    Args:
        is_old: Whether code bytes are of the roll, and chained, as they once were.
    """

    def __init__(self, is_old: bool = False) -> None:
        self.is_old = is_old
        self.state = engine.PoolState()
        self.records: list[LedgerRecord] = []
        self.now_ms = START_MS
        self._link = ""
        self._draws_of: dict[int, int] = {}

    def publish(self, message: pool_pb2.PoolConfig) -> None:
        """The next configuration, with its JSON as the administration writes it."""
        self.configure(config_of(message), document_of(message))

    def configure(self, config: PoolConfig, document: str = "") -> None:
        """The next configuration."""
        version = self.state.version + 1
        stocks = engine.configure(self.state, version - 1, version, config, self.now_ms).stocks
        document, seq = document or f'{{"version": {version}}}', self.state.seq
        content = document.encode() + msgpack.packb(stocks) + str(self.now_ms).encode()
        link = self._bind(f"{seq}-{version}", content)
        self.records.append(ConfigRecord(seq, version, config, document, stocks, self.now_ms, link))

    def draw(self, *wishes: tuple[int, str, int], draw_ticket: DrawTicket | None = None) -> None:
        """One entry."""
        first_seq = self.state.seq + 1
        intents = [intent(*wish)._replace(draw_ticket=draw_ticket) for wish in wishes]
        drawing = engine.draw(self.state, intents, self.now_ms, 0, NO_BACKLOG_BOUND)
        assert {DrawCode.DRAWN} == {answer.code for answer in drawing.answers}
        draws = []
        for (user, request_id, count), answer in zip(wishes, drawing.answers, strict=True):
            before = self._draws_of.get(user, 0)
            self._draws_of[user] = before + count
            for index, drawn in enumerate(answer.draws):
                number = before + min(index + 1, count)
                draws.append(DrawRecord(user, request_id, index, count, number, *drawn[:4]))
        content = [[*one, _old_code(one)] if self.is_old else one for one in draws]
        body = [self.now_ms, self.state.version, content]
        packed = msgpack.packb(body, use_bin_type=not self.is_old)  # text as the script packs it
        link = self._bind(f"{self.state.seq}-0", packed)
        self.records.append(EntryRecord(first_seq, self.now_ms, self.state.version, draws, link))

    def skip(self, places: int) -> None:
        """A gap, as a rebuild notes it."""
        seq = self.state.seq
        self.records.append(GapRecord(seq + 1, seq + places))
        self.state.seq += places

    def lines(self, activity_id: int | None = 3) -> Iterator[str]:
        """Those of its file, once its seed is revealed."""
        commitment = fairness.commitment(SEED).hex()
        end = (self.state.seq, self.state.version)
        yield header_line(Header(1, activity_id, commitment, SEED.hex(), *end))
        yield from map(record_line, self.records)

    def _bind(self, stream_id: str, content: bytes) -> str:
        text = (self._link + stream_id).encode() + content
        self._link = hashlib.sha1(text).hexdigest()
        return self._link


def _old_code(draw: DrawRecord) -> bytes:
    """Four bytes of the roll, others for a last prize; none for a miss."""
    is_extra = draw.draw_index == draw.draw_count
    roll = fairness.Roller(SEED, 1).roll(draw.user_id, draw.request_id, draw.draw_index - is_extra)
    code = roll[24:28] if is_extra else roll[28:32]
    return code if draw.prize_id else b""
