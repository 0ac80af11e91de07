"""Who remembers, apart from a store, how far its pools were: so that no older copy is used."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from services.pool.marks.mark import Mark, MarkBounds


class StorePositions(Protocol):
    """What a witness may ask of the store."""

    async def positions(self, pool_ids: Sequence[int]) -> Mapping[int, Mark]:
        """Where pools are, by pool id; those that are not loaded are not in it."""

    async def skip_to(self, pool_id: int, seq: int, mark: Mark) -> None:
        """
        Let the next draw come after *seq*; a store behind *mark* stays as it is.

        Raises:
            UnavailableError: The store's clock is off.
        """


class Witness(Protocol):
    """See services/pool/marks/keeper.py."""

    def enter(self, run_id: str) -> None:
        """The store was started anew, or for the first time: *run_id* names this run of it."""

    def known(self, pool_id: int) -> MarkBounds | None:
        """Between what the store may be; None: open() says."""

    async def open(self, pool_id: int, store: StorePositions) -> MarkBounds:
        """Between what the store may be in its present run."""

    async def open_all(self, pool_ids: Sequence[int], store: StorePositions) -> None:
        """Let these pools be known, before anybody draws from them."""

    async def reserve(self, pool_id: int, after_seq: int) -> None:
        """Reserve draw ids past *after_seq*, where the store is."""

    def note(self, pool_id: int, mark: Mark) -> None:
        """A change of a pool was made, and is about to be answered; open() came before."""

    def sealed(self, pool_id: int) -> asyncio.Future[None] | None:
        """
        Done when all noted changes of a pool may be answered; None: at once.

        It fails with UnavailableError where that cannot be said.
        """

    def missed(self, pool_id: int) -> None:
        """The store does not have a pool, or is behind its mark."""

    async def check(self, store: StorePositions) -> None:
        """PoolNotLoadedError where the store is older than what was answered, in any pool."""


class OwnMemory:
    """What one process has seen itself, and nothing of the time before."""

    def __init__(self) -> None:
        self._bounds: dict[int, MarkBounds] = {}

    def enter(self, run_id: str) -> None:
        """See Witness."""

    def known(self, pool_id: int) -> MarkBounds:
        """See Witness."""
        return self._bounds.get(pool_id, MarkBounds())

    async def open(self, pool_id: int, store: StorePositions) -> MarkBounds:
        """See Witness."""
        del store
        return self.known(pool_id)

    async def open_all(self, pool_ids: Sequence[int], store: StorePositions) -> None:
        """See Witness."""

    async def reserve(self, pool_id: int, after_seq: int) -> None:
        """See Witness."""

    def note(self, pool_id: int, mark: Mark) -> None:
        """See Witness."""
        known = self.known(pool_id)
        self._bounds[pool_id] = known._replace(mark=known.mark.raised(mark))

    def sealed(self, pool_id: int) -> None:
        """See Witness."""

    def missed(self, pool_id: int) -> None:
        """See Witness."""

    async def check(self, store: StorePositions) -> None:
        """See Witness."""
