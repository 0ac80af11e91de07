"""Pages: their bounds, checked in one place."""

from typing import Any, NamedTuple, Protocol

from services.common.errors import InvalidArgumentError

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000_000


class Page(NamedTuple):
    """Page *number*, counted from 1, of *size* rows."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size


class PagedRequest(Protocol):
    """A request message with optional page and page_size."""

    @property
    def page(self) -> int: ...
    @property
    def page_size(self) -> int: ...
    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: ANN401, N802  # as protobuf has it


def page_of(request: PagedRequest) -> Page:
    """The page asked for; InvalidArgumentError outside 1… and 1…100."""
    number = request.page if request.HasField("page") else 1
    size = request.page_size if request.HasField("page_size") else DEFAULT_PAGE_SIZE
    if not 1 <= number <= MAX_PAGE:
        raise InvalidArgumentError("page", "page counts from 1.")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidArgumentError("page_size", f"page_size is 1 to {MAX_PAGE_SIZE}.")
    return Page(number, size)
