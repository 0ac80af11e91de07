"""Pages: which one is asked for, and what its answer says of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypedDict, TypeVar

DEFAULT_PAGE_SIZE = 20
Row = TypeVar("Row")


class Page(NamedTuple):
    """Page *number*, counted from 1, of *size* rows."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size


class PageMarks(TypedDict):
    """Fields of every paged answer."""

    page: int
    page_size: int
    has_more: bool


class PagedRequest(Protocol):
    """A request message with optional page and page_size."""

    @property
    def page(self) -> int: ...
    @property
    def page_size(self) -> int: ...
    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: ANN401, N802  # as protobuf has it


def page_of(request: PagedRequest) -> Page:
    """The page asked for; the first of 20 rows where nothing is said."""
    return Page(
        request.page if request.HasField("page") else 1,
        request.page_size if request.HasField("page_size") else DEFAULT_PAGE_SIZE,
    )


def marks_of(page: Page, *, has_more: bool) -> PageMarks:
    """What an answer says of *page*."""
    return PageMarks(page=page.number, page_size=page.size, has_more=has_more)


def cut(page: Page, rows: Sequence[Row]) -> tuple[Sequence[Row], PageMarks]:
    """
    The rows of *page*, and what its answer says of it.

    Args:
        rows: From its first on; one more than fit on it where there are more.
    """
    return rows[: page.size], marks_of(page, has_more=len(rows) > page.size)
