"""Pages: which one is asked for, and what its answer says of it."""

import pytest
from kuji.history.v1 import history_pb2

from services.common.bounds import check
from services.common.errors import InvalidArgumentError
from services.common.paging import Page, cut, page_of

Request = history_pb2.ListWinnersRequest


def test_page_is_the_first_20_rows_when_nothing_is_asked() -> None:
    """Without page and page_size: page 1 of size 20."""
    page = page_of(Request())
    assert page == (1, 20)
    assert page.offset == 0


def test_offset_counts_the_rows_before_when_a_page_is_asked() -> None:
    """Page 3 of size 50 begins after 100 rows."""
    assert page_of(Request(page=3, page_size=50)).offset == 100


@pytest.mark.parametrize(("count", "has_more"), [(0, False), (2, False), (3, True)])
def test_page_says_that_there_is_more_when_a_row_too_many_was_read(
    count: int, has_more: bool
) -> None:
    """The row that does not fit is not shown; it only tells that there is another page."""
    rows, marks = cut(Page(4, 2), range(count))
    assert list(range(min(count, 2))) == list(rows)
    assert {"page": 4, "page_size": 2, "has_more": has_more} == marks


def test_page_is_refused_when_out_of_bounds() -> None:
    """An explicit zero, a negative and a huge number are errors that name the field."""
    for number in (0, -1, 1_000_000_001):
        with pytest.raises(InvalidArgumentError) as caught:
            check(Request(page=number))
        assert {"field": "page"} == caught.value.metadata
    for size in (0, -5, 101):
        with pytest.raises(InvalidArgumentError) as caught:
            check(Request(page_size=size))
        assert {"field": "page_size"} == caught.value.metadata
    for page in ((1, 1), (1_000_000_000, 100)):
        check(Request(page=page[0], page_size=page[1]))
