"""A draw of a box, recomputed."""

from services.common.draw_id import DrawId
from services.common.errors import NotFoundError
from services.draw.blindbox.shelf import Shelf
from services.draw.proof.prover import Proof, Prover


async def validate(shelf: Shelf, prover: Prover, draw_id: DrawId) -> Proof:
    """
    Recompute a draw of a box.

    Raises:
        NotFoundError: There is no such draw, or it is none of a box.
        UnavailableError: See Prover.prove.
    """
    if not await shelf.is_box(draw_id.pool_id):
        raise NotFoundError("There is no such draw.")
    return await prover.prove(*draw_id)


def reason_of(proof: Proof) -> str:
    """What was computed, and what was found; tickets are counted from 1, as luck_no is."""
    if not proof.valid:
        return proof.explanation
    return (
        f"The roll gives ticket {proof.ticket + 1} of {proof.total}: the item recorded, "
        f"which had {proof.weight} of them at that moment."
    )
