"""What is asked of a lottery."""

from typing import NamedTuple

from kuji.draw.v1 import draw_pb2

from services.common.bounds import check, checks_of
from services.common.errors import InvalidArgumentError, KujiError
from services.pool.rule.terms import DrawTicket

_CHECKS = checks_of(draw_pb2.BatchDraw.DESCRIPTOR)


class WantedDraw(NamedTuple):
    """
    A draw that a caller asks for; see kuji.draw.v1.BatchDraw.

    Args:
        address: Where the user is; empty where a service draws, which does not tell.
        draw_ticket: See Intent; None: a service asks.
        ticket_pool_id: Where the ticket draws; 0: there is none.
        is_by_service: Whether a service asks for it.
    """

    activity_id: int
    user_id: int
    request_id: str
    address: str = ""
    draw_ticket: DrawTicket | None = None
    ticket_pool_id: int = 0
    is_by_service: bool = False


# Of a batch or a stream: a draw, or why it cannot be drawn.
Element = WantedDraw | KujiError


def element_of(draw: draw_pb2.BatchDraw) -> Element:
    """A draw of a batch or a stream; where it is out of bounds, what is wrong with it."""
    try:
        check(draw, _CHECKS)
    except InvalidArgumentError as error:
        return error
    return WantedDraw(draw.activity_id, draw.user_id, draw.request_id)
