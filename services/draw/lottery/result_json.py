"""
A draw's result as the edge passes it on: JSON with its envelope, see services.common.enveloped.

It says what enveloper_of() makes of the response, without the messages on the way: those cost more
than the texts, and most draws by JSON are told so.
"""

from json.encoder import encode_basestring as text

from services.common.enveloped import enveloped, number_text, timestamp_text
from services.draw.lottery.results import DrawResult
from services.pool.won_prize import WonPrize

_WORDS = {False: "false", True: "true"}
_NULL = "null"


def enveloped_result(result: DrawResult) -> bytes:
    """The HttpBody that holds *result*, as bytes."""
    is_drawn, prize, left, next_ms = result.seq, result.prize, result.draws_left, result.next_ms
    draw_id = f"{result.pool_id}-{result.seq}" if is_drawn else ""
    return enveloped(
        f'{{"draw_id":"{draw_id}",'
        f'"won":{_WORDS[prize is not None]},'
        f'"prize":{_NULL if prize is None else _prize(prize)},'
        f'"odds":{number_text(result.weight / result.total)},'
        f'"drawn_at":{_moment(result.drawn_ms)},'
        f'"replayed":{_WORDS[result.replayed]},'
        f'"draws_left":{_NULL if left < 0 else left},'
        f'"next_draw_at":{_moment(next_ms) if next_ms else _NULL},'
        f'"request_id":{text(result.request_id)},'
        f'"pool_version":"{result.version}",'
        f'"odds_weight":"{result.weight}",'
        f'"odds_total":"{result.total}",'
        f'"activity_id":"{result.activity_id}",'
        f'"ledger_link":"{result.ledger_link}",'
        f'"sold_out":{_WORDS[not is_drawn]}}}'
    )


def _prize(prize: WonPrize) -> str:
    return (
        f'{{"prize_id":"{prize.prize_id}","name":{text(prize.name)},'
        f'"image_url":{text(prize.image_url)},"prize_code":{text(prize.prize_code)}}}'
    )


def _moment(ms: int) -> str:
    seconds, millis = divmod(ms, 1000)
    return timestamp_text(seconds, millis * 1_000_000)
