"""The winner list, and a user's own draws, as pages."""

from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg

from services.common.draw_id import DrawId
from services.common.masking import mask
from services.common.paging import Page
from services.common.postgres import load_queries

_queries = load_queries(__file__)
Row = TypeVar("Row")


class Winner(NamedTuple):
    """
    Who won what.

    Args:
        win_no: Place among all winners, from 1, without gaps.
        activity_id: 0 for a blind box.
        user_name: Masked.
    """

    win_no: int
    pool_id: int
    seq: int
    activity_id: int
    user_name: str
    prize_id: int
    prize_name: str
    won_at: datetime


class UserDraw(NamedTuple):
    """A draw as its user sees it in a list; prize_id 0: a miss."""

    pool_id: int
    seq: int
    activity_id: int
    prize_id: int
    prize_name: str
    created_at: datetime


class PageRows(NamedTuple, Generic[Row]):
    """A page of rows, newest first, and whether there are older ones."""

    rows: list[Row]
    has_more: bool


class WinnersQuery(NamedTuple):
    """Which page of the winners; activity_id 0: of all."""

    activity_id: int
    page: Page


def _winner(row: asyncpg.Record) -> Winner:
    return Winner(
        row["win_no"],
        row["pool_id"],
        row["seq"],
        row["activity_id"] or 0,
        mask(row["username"] or ""),
        row["prize_id"],
        row["prize_name"],
        row["won_at"],
    )


def _user_draw(row: asyncpg.Record) -> UserDraw:
    return UserDraw(
        row["pool_id"],
        row["seq"],
        row["activity_id"] or 0,
        row["prize_id"] or 0,
        row["prize_name"] or "",
        row["created_at"],
    )


class WinnerStore:
    """Reads winners and draws from Postgres."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def winners(self, query: WinnersQuery) -> PageRows[Winner]:
        """A page of the winners; one beyond the last is empty."""
        bounds: dict[str, Any] = {"skip": query.page.offset, "size": query.page.size}
        if query.activity_id:
            found = _queries.activity_winners_page(
                self._postgres, activity_id=query.activity_id, **bounds
            )
        else:
            found = _queries.winners_page(self._postgres, **bounds)
        rows = [row async for row in found]
        return PageRows([_winner(row) for row in rows], bool(rows) and rows[-1]["place"] > 1)

    async def newest_win_no(self) -> int:
        """Number of the newest winner; 0: none."""
        win_no: int = await _queries.newest_win_no(self._postgres)
        return win_no

    async def winners_after(self, win_no: int, count: int) -> list[Winner]:
        """The next winners after *win_no*, at most *count*, oldest first."""
        rows = _queries.winners_after(self._postgres, win_no=win_no, size=count)
        return [_winner(row) async for row in rows]

    async def win_no_of(self, draw_id: DrawId) -> int | None:
        """The number of a winner; None where no draw of that id has won."""
        win_no: int | None = await _queries.win_no_of(
            self._postgres, pool_id=draw_id.pool_id, seq=draw_id.seq
        )
        return win_no

    async def user_draws(
        self, user_id: int, activity_id: int, page: Page, *, won_only: bool
    ) -> PageRows[UserDraw]:
        """A page of a user's recorded draws."""
        query = _queries.user_wins if won_only else _queries.user_draws
        found = query(
            self._postgres,
            user_id=user_id,
            activity_id=activity_id,
            skip=page.offset,
            size=page.size + 1,
        )
        rows = [_user_draw(row) async for row in found]
        return PageRows(rows[: page.size], len(rows) > page.size)
