"""Which ledger an operator means: an activity's, a pool's, or a box's."""

from typing import Annotated, NamedTuple

import typer

from ops.errors import OperatorError
from ops.ledger.reader import pool_exists, pool_of_activity, pool_of_box
from services.common.postgres import Connection

WAYS = "an activity, a pool with --pool, a box with --goods and --box"

PoolOption = Annotated[int | None, typer.Option(help="A pool.", min=1)]
GoodsOption = Annotated[int | None, typer.Option(help="The goods of a box.", min=1)]
BoxOption = Annotated[int | None, typer.Option(help="The box's number; infinite: 1.", min=1)]


class Choice(NamedTuple):
    """What was named; *box* is the number of a box of *goods*."""

    activity: int | None = None
    pool: int | None = None
    goods: int | None = None
    box: int | None = None

    @property
    def named(self) -> int:
        """How many ledgers."""
        return sum(one is not None for one in (self.activity, self.pool, self.goods))

    def check(self) -> None:
        """OperatorError where half a box is named."""
        if (self.goods is None) != (self.box is None):
            raise OperatorError("A box is named by both --goods and --box")


async def chosen_pool(connection: Connection, choice: Choice) -> int:
    """
    The pool of *choice*, which names one ledger.

    Raises:
        OperatorError: There is no such thing.
    """
    if choice.activity is not None:
        pool_id = await pool_of_activity(connection, choice.activity)
        sentence = f"There is no activity {choice.activity}"
    elif choice.pool is not None:
        pool_id = choice.pool if await pool_exists(connection, choice.pool) else None
        sentence = f"There is no pool {choice.pool}"
    else:
        pool_id = await pool_of_box(connection, choice.goods or 0, choice.box or 0)
        sentence = f"There is no box {choice.box} of goods {choice.goods}"
    if pool_id is None:
        raise OperatorError(sentence)
    return pool_id
