"""Reflection finds what its protocol promises."""

import pytest
from kuji.history.v1 import history_pb2

from services.common.server.reflection import ReflectedPool

SERVICE = "kuji.history.v1.HistoryService"


@pytest.mark.parametrize(
    "name", [SERVICE, f"{SERVICE}.ListWinners", "kuji.history.v1.ListWinnersRequest"]
)
def test_file_is_found_by_the_name_of_what_it_defines(name: str) -> None:
    """A service, a method (which is how ghz asks), a message."""
    assert history_pb2.DESCRIPTOR.name == ReflectedPool().FindFileContainingSymbol(name).name


@pytest.mark.parametrize("name", [f"{SERVICE}.Nope", "kuji.Nope", "Nope", ""])
def test_name_that_nothing_has_is_not_found(name: str) -> None:
    """As the pool itself says it."""
    with pytest.raises(KeyError):
        ReflectedPool().FindFileContainingSymbol(name)
