"""What a draw gave, as its caller sees it: made just now, or before."""

from typing import NamedTuple

from services.draw.made import MadeDraw, MadeDraws
from services.draw.pools import Pool, Pools, PrizeFace
from services.draw.refusals import refusal_of
from services.pool.rule.prize_code import prize_code
from services.pool.rule.terms import Answer, DrawCode, Drawing, Intent
from services.pool.won_prize import WonPrize

_NO_FACE = PrizeFace("", "")
_DRAWN = DrawCode.DRAWN


class DrawResult(NamedTuple):
    """
    What a draw gave; see kuji.draw.v1.DrawResult.

    Args:
        prize: None for a miss.
        seq: 0: nothing was left to be won, and so nothing was drawn.
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

    @property
    def is_sold_out(self) -> bool:
        """Whether nothing was left to be won, and so nothing was drawn."""
        return not self.seq


class Results:
    """Makes results of a pool's answers."""

    def __init__(self, pools: Pools, made: MadeDraws) -> None:
        self._pools = pools
        self._made = made

    async def of(self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer) -> DrawResult:
        """
        What *answer* gave to *intent*.

        Raises:
            KujiError: Nothing: it was refused; UnavailableError: an earlier draw is not readable
                yet, or may not be told yet.
        """
        if answer.code is DrawCode.REPLAYED:
            return await self._replayed(pool, intent, answer)
        if answer.code is DrawCode.DRAWN and answer.draws[0].prize_id:
            await self._pools.faces(pool, drawing.version)
        result = self.at_hand(pool, intent, drawing, answer)
        assert result is not None
        return result

    def at_hand(
        self, pool: Pool, intent: Intent, drawing: Drawing, answer: Answer
    ) -> DrawResult | None:
        """
        As of(), where nothing has to be read for it; None: something has to.

        Raises:
            KujiError: Nothing: it was refused.
        """
        if answer.code is _DRAWN:
            return _fresh(pool, intent, drawing, answer)
        if answer.code is DrawCode.NOTHING_TO_WIN:
            return _sold_out(pool, drawing)
        if answer.code is DrawCode.REPLAYED:
            return None
        raise refusal_of(answer)

    async def _replayed(self, pool: Pool, intent: Intent, answer: Answer) -> DrawResult:
        draw = (await self._made.read(pool.pool_id, answer.first_seq, answer.places))[0]
        if draw.prize_id:
            await self._pools.faces(pool, draw.version)
        return _result(pool, intent, answer, draw)


def _fresh(pool: Pool, intent: Intent, drawing: Drawing, answer: Answer) -> DrawResult | None:
    """What was drawn just now; None: the prize's face is not known yet. By place: it is quicker."""
    _, seq, _, draws_left, next_ms, draws, _ = answer
    prize_id, _, weight, total, code_bytes = draws[0]
    now_ms, version, _, link, *_ = drawing
    prize = None
    if prize_id:
        if pool.faces_version < version:
            return None
        name, image_url = pool.faces.get(prize_id, _NO_FACE)
        prize = WonPrize(prize_id, name, image_url, prize_code(pool.pool_id, seq, code_bytes))
    return DrawResult(
        pool.pool_id,
        seq,
        pool.activity_id,
        intent.request_id,
        prize,
        weight,
        total,
        now_ms,
        version,
        False,  # replayed
        draws_left,
        next_ms,
        link,
    )


def _result(pool: Pool, intent: Intent, answer: Answer, draw: MadeDraw) -> DrawResult:
    return DrawResult(
        pool_id=pool.pool_id,
        seq=draw.seq,
        activity_id=pool.activity_id,
        request_id=intent.request_id,
        prize=_prize(pool, draw) if draw.prize_id else None,
        weight=draw.weight,
        total=draw.total,
        drawn_ms=draw.drawn_ms,
        version=draw.version,
        replayed=answer.code is DrawCode.REPLAYED,
        draws_left=answer.draws_left,
        next_ms=answer.next_ms,
        ledger_link=draw.link,
    )


def _prize(pool: Pool, draw: MadeDraw) -> WonPrize:
    face = pool.faces.get(draw.prize_id, _NO_FACE)
    return WonPrize(draw.prize_id, draw.prize_name or face.name, face.image_url, draw.prize_code)


def _sold_out(pool: Pool, drawing: Drawing) -> DrawResult:
    """No win, for certain, whoever asked; the request id stands for no draw."""
    return DrawResult(
        pool_id=pool.pool_id,
        seq=0,
        activity_id=pool.activity_id,
        request_id="",
        prize=None,
        weight=1,
        total=1,
        drawn_ms=drawing.now_ms,
        version=drawing.version,
        replayed=False,
        draws_left=-1,
        next_ms=0,
        ledger_link="",
    )
