"""What a draw gave, as its caller sees it: made just now, or before."""

from dataclasses import dataclass
from typing import NamedTuple

from services.draw.past import PastDraws
from services.draw.pools import Pool, Pools, PrizeFace
from services.draw.refusals import refusal_of
from services.pool.prize_code import prize_code
from services.pool.rule.terms import Answer, DrawCode, Drawing, Intent

_NO_FACE = PrizeFace("", "")


@dataclass(frozen=True, slots=True)
class WonPrize:
    """A prize, as its winner sees it."""

    prize_id: int
    name: str
    image_url: str
    prize_code: str


class DrawResult(NamedTuple):
    """
    What a draw gave; see kuji.draw.v1.DrawResult.

    Args:
        prize: None for a miss.
        draws_left: −1 without a quota.
        next_ms: 0: at once.
    """

    pool_id: int
    seq: int
    activity_id: int
    request_id: str
    prize: WonPrize | None
    weight: int
    total: int
    drawn_ms: int
    version: int
    replayed: bool
    draws_left: int
    next_ms: int
    ledger_link: str


class Results:
    """Makes results of a pool's answers."""

    def __init__(self, pools: Pools, past: PastDraws) -> None:
        self._pools = pools
        self._past = past

    async def of(self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer) -> DrawResult:
        """
        What *answer* gave to *intent*.

        Raises:
            KujiError: Nothing: it was refused; UnavailableError: an earlier draw is not readable
                yet, or may not be told yet.
        """
        if answer.code is DrawCode.DRAWN:
            return await self._fresh(pool, intent, drawing, answer)
        if answer.code is DrawCode.REPLAYED:
            return await self._replayed(pool, intent, answer)
        raise refusal_of(answer)

    async def _fresh(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> DrawResult:
        drawn = answer.draws[0]
        prize = None
        if drawn.prize_id:
            face = (await self._pools.faces(pool, drawing.version)).get(drawn.prize_id, _NO_FACE)
            code = prize_code(pool.pool_id, answer.first_seq, drawn.code_bytes)
            prize = WonPrize(drawn.prize_id, face.name, face.image_url, code)
        return DrawResult(
            pool_id=pool.pool_id,
            seq=answer.first_seq,
            activity_id=pool.activity_id,
            request_id=intent.request_id,
            prize=prize,
            weight=drawn.weight,
            total=drawn.total,
            drawn_ms=drawing.now_ms,
            version=drawing.version,
            replayed=False,
            draws_left=answer.draws_left,
            next_ms=answer.next_ms,
            ledger_link=drawing.chain,
        )

    async def _replayed(self, pool: Pool, intent: Intent, answer: Answer) -> DrawResult:
        past = (await self._past.read(pool.pool_id, answer.first_seq, answer.places))[0]
        prize = None
        if past.prize_id:
            face = (await self._pools.faces(pool, past.version)).get(past.prize_id, _NO_FACE)
            name = past.prize_name or face.name
            prize = WonPrize(past.prize_id, name, face.image_url, past.prize_code)
        return DrawResult(
            pool_id=pool.pool_id,
            seq=answer.first_seq,
            activity_id=pool.activity_id,
            request_id=intent.request_id,
            prize=prize,
            weight=past.weight,
            total=past.total,
            drawn_ms=past.drawn_ms,
            version=past.version,
            replayed=True,
            draws_left=answer.draws_left,
            next_ms=answer.next_ms,
            ledger_link=past.link,
        )
