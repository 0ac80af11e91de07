"""How long work may go on, so that its answer still arrives in time."""

import asyncio

# Time kept back from a caller's deadline, so that our answer arrives before it gives up.
_MARGIN_S = 0.05


def reply_by(remaining_s: float) -> float:
    """The moment, by the event loop's time, to answer a caller who waits *remaining_s* longer."""
    return asyncio.get_running_loop().time() + max(remaining_s - _MARGIN_S, _MARGIN_S)
