"""Pages and their bounds."""

import pytest
from kuji.history.v1 import history_pb2

from services.common.errors import InvalidArgumentError
from services.common.paging import page_of

Request = history_pb2.ListWinnersRequest


def test_page_is_the_first_20_rows_when_nothing_is_asked() -> None:
    """Without page and page_size: page 1 of size 20."""
    page = page_of(Request())
    assert page == (1, 20)
    assert page.offset == 0


def test_offset_counts_the_rows_before_when_a_page_is_asked() -> None:
    """Page 3 of size 50 begins after 100 rows."""
    assert page_of(Request(page=3, page_size=50)).offset == 100


@pytest.mark.parametrize("size", [1, 100])
def test_size_is_accepted_when_on_its_bound(size: int) -> None:
    """1 and 100 are inside."""
    assert (1, size) == page_of(Request(page_size=size))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Request(page=0), "page"),
        (Request(page=-1), "page"),
        (Request(page=1_000_000_001), "page"),
        (Request(page_size=0), "page_size"),
        (Request(page_size=-5), "page_size"),
        (Request(page_size=101), "page_size"),
    ],
)
def test_page_is_refused_when_out_of_bounds(request_: Request, field: str) -> None:
    """An explicit zero, a negative and a huge number are errors that name the field."""
    with pytest.raises(InvalidArgumentError) as caught:
        page_of(request_)
    assert {"field": field} == caught.value.metadata
