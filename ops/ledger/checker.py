"""A whole ledger, checked against its header."""

from collections.abc import Callable

from ops.ledger.file import Header
from services.pool.rule.replay import DiscrepancyError, EntryRecord, LedgerRecord, Replay

_SHOW_EVERY_DRAWS = 5_000


class Checker:
    """
    Feeds a replay, and sees that the ledger is whole to its end.

    Args:
        header: Whose ledger it is, and how long.
        seed: Revealed.
        on_progress: Called now and then with the newest draw replayed.

    Raises:
        DiscrepancyError: The seed is not the one committed to.
    """

    def __init__(self, header: Header, seed: bytes, on_progress: Callable[[int], object]) -> None:
        self._header = header
        self._replay = Replay(header.pool_id, seed, bytes.fromhex(header.seed_commitment))
        self._on_progress = on_progress
        self._draws = 0
        self._shown_seq = 0

    def feed(self, record: LedgerRecord) -> None:
        """Replay *record*; DiscrepancyError when it does not follow."""
        self._replay.feed(record)
        if isinstance(record, EntryRecord):
            self._draws += len(record.draws)
        if self._replay.seq >= self._shown_seq + _SHOW_EVERY_DRAWS:
            self._show()

    def finish(self) -> int:
        """Draws replayed, all of them; DiscrepancyError when the ledger ends elsewhere."""
        self._show()
        seq, version = self._header.seq, self._header.version
        if self._replay.seq < seq:
            raise DiscrepancyError(self._replay.seq + 1, "It is missing at the end of the ledger.")
        if self._replay.seq > seq:
            raise DiscrepancyError(seq + 1, f"The ledger goes on, and should end with draw {seq}.")
        if self._replay.version != version:
            reason = f"Configuration {self._replay.version} is the newest, and {version} should be."
            raise DiscrepancyError(seq + 1, reason)
        return self._draws

    def _show(self) -> None:
        self._shown_seq = self._replay.seq
        self._on_progress(self._shown_seq)
