"""Brings what a crash or a lost answer left reserved to its end."""

import asyncio
from collections.abc import Sequence

import structlog
from prometheus_client import Counter

from services.common.errors import KujiError
from services.common.failures import to_kuji_error
from services.common.outages import is_outage
from services.common.tasks import repeat
from services.draw.blindbox.fulfilment import Fulfilment, OrderDrawn
from services.draw.blindbox.orders import OLDEST, Cursor, Order, Orders

log = structlog.get_logger()
SWEPT = Counter("kuji_draw_swept_orders_total", "Orders found reserved for too long", ["outcome"])
_LEFT = "left"
_AT_ONCE = 50
_SETTLE_S = 10.0
_SWEEP_S = 600.0


class Sweeper:
    """
    Settles orders that nobody is at any more; any number of them may do so at once.

    Args:
        after_s: An order reserved for longer is swept. It is safe to sweep one that somebody is
            still at.
    """

    def __init__(self, orders: Orders, fulfilment: Fulfilment, after_s: float) -> None:
        self._orders = orders
        self._fulfilment = fulfilment
        self._after_s = after_s
        for outcome in ("drawn", "released", _LEFT):
            SWEPT.labels(outcome)

    async def sweep(self) -> None:
        """
        Try every such order once; what cannot be told yet stays for the next time.

        Raises:
            ExceptionGroup: None of a page could be settled, since a part is away.
        """
        after = OLDEST
        while page := await self._page(after):
            outages = [
                error
                for error in await asyncio.gather(*[self._settle(order) for order in page])
                if error is not None
            ]
            if len(outages) == len(page):
                raise ExceptionGroup("no order could be settled", outages)
            after = Cursor(page[-1].reserved_at, page[-1].order_id)

    async def sweep_while_running(self, every_s: float) -> None:
        """Keep sweeping until cancelled."""
        await repeat("sweep", self.sweep, every_s, _SWEEP_S)

    async def _page(self, after: Cursor) -> Sequence[Order]:
        return await self._orders.reserved_longer(self._after_s, after, _AT_ONCE)

    async def _settle(self, order: Order) -> Exception | None:
        """Bring *order* to its end; the outage that prevents it, if one does."""
        try:
            async with asyncio.timeout(_SETTLE_S):
                settled = await self._fulfilment.settle(order)
        except Exception as error:  # noqa: BLE001  # it is told, and the others are swept
            _tell(order, _LEFT)
            if is_outage(error) and not isinstance(error, KujiError):
                return error
            to_kuji_error(error, "sweep")
        else:
            _tell(order, "drawn" if isinstance(settled, OrderDrawn) else "released")
        return None


def _tell(order: Order, outcome: str) -> None:
    SWEPT.labels(outcome).inc()
    log.info("order swept", order_num=order.order_num, attempt=order.attempt, outcome=outcome)
