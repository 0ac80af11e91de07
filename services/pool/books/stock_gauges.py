"""Units left of the prizes of lotteries, on metrics."""

from collections.abc import Sequence

from prometheus_client import Gauge

from services.pool.books.facts import PrizeStock

LEFT = Gauge("kuji_prize_units_left", "Units left of a prize", ["pool", "prize", "name"])
UNITS = Gauge(
    "kuji_prize_units", "Units of a prize, but for those held back", ["pool", "prize", "name"]
)
_NAME_LENGTH = 40
_Key = tuple[int, int, str]


class StockGauges:
    """
    Shows the stock of the pools that were audited last.

    Args:
        at_most: Prizes shown; beyond it the pool that was audited longest ago goes.
    """

    def __init__(self, at_most: int = 500) -> None:
        self._at_most = at_most
        self._shown: dict[int, set[_Key]] = {}  # the one audited longest ago first
        LEFT.clear()
        UNITS.clear()

    def show(self, pool_id: int, stocks: Sequence[PrizeStock]) -> None:
        """Show *stocks* of a pool, and no others of it."""
        before = self._shown.pop(pool_id, set())
        shown: set[_Key] = set()
        for stock in stocks:
            key = (pool_id, stock.prize_id, stock.name[:_NAME_LENGTH])
            LEFT.labels(*key).set(stock.left)
            UNITS.labels(*key).set(stock.units)
            shown.add(key)
        _remove(before - shown)
        if shown:
            self._shown[pool_id] = shown
        while len(self._shown) > 1 and sum(map(len, self._shown.values())) > self._at_most:
            self.forget(next(iter(self._shown)))

    def forget(self, pool_id: int) -> None:
        """Show nothing of a pool any more."""
        _remove(self._shown.pop(pool_id, set()))


def _remove(keys: set[_Key]) -> None:
    for key in keys:
        LEFT.remove(*key)
        UNITS.remove(*key)
