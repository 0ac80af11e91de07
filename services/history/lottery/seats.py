"""Who may listen: so many in all, and so many at one address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client

from services.common.addresses import network_of
from services.common.errors import OverloadedError, RateLimitedError

LISTENERS = prometheus_client.Gauge("kuji_history_listeners", "Listeners of the winners' stream")
REFUSED = prometheus_client.Counter(
    "kuji_history_listeners_refused", "Listeners for whom there was no place", ["bound"]
)
_COME_BACK_MS = 10_000


class Seats:
    """
    The places of listeners.

    Args:
        in_all: At most so many.
        of_address: Likewise of one address; of IPv6, of its /64.
    """

    def __init__(self, in_all: int, of_address: int) -> None:
        self._in_all = in_all
        self._of_address = of_address
        self._taken: Counter[str] = Counter()
        self._count = 0

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """
        A place for a listener at *address*, for as long as the context is open.

        Raises:
            RateLimitedError: That address has all that it may have.
            OverloadedError: There is none left for anybody.
        """
        network = network_of(address)
        if self._taken[network] >= self._of_address:
            REFUSED.labels("address").inc()
            raise RateLimitedError("Too many listeners from this address.", _COME_BACK_MS)
        if self._count >= self._in_all:
            REFUSED.labels("all").inc()
            raise OverloadedError("Too many listeners at this moment.", _COME_BACK_MS)
        self._take(network, 1)
        try:
            yield
        finally:
            self._take(network, -1)

    def _take(self, network: str, places: int) -> None:
        self._count += places
        self._taken[network] += places
        if not self._taken[network]:
            del self._taken[network]
        LISTENERS.inc(places)
