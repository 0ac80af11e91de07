"""Which port each part of a stack gets."""

import errno
import os
import socket

import pytest

from stack import ports
from stack.ports import Ports, edge_address, free_port
from stack.processes import StackError


def test_part_keeps_its_port_from_start_to_start() -> None:
    """What was written down is taken again; what is new gets a free one."""
    kept = {"draw": free_port()}
    ports._given.discard(kept["draw"])  # by the process before this one
    again = Ports({}, kept)
    assert kept["draw"] == again.of("draw")
    assert {"draw": kept["draw"], "auth": again.of("auth")} == again.chosen


def test_part_gets_another_port_when_its_own_is_taken_meanwhile() -> None:
    """A start does not fail for it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port != Ports({}, {"draw": port}).of("draw")


def test_wanted_port_goes_before_the_kept_one() -> None:
    """The operator changes it by saying so."""
    wanted, kept = free_port(), free_port()
    ports._given.difference_update({wanted, kept})
    assert wanted == Ports({"draw": wanted}, {"draw": kept}).of("draw")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EADDRINUSE, "Port 80 is taken; set KUJI_EDGE_PORT to a free one"),
        (errno.EACCES, "This user may not listen on port 80; set KUJI_EDGE_PORT to one above 1023"),
        (errno.EADDRNOTAVAIL, "edge.test is no address of this machine; set KUJI_EDGE_HOST to one"),
        (errno.ENETDOWN, "The edge cannot listen on edge.test, port 80: Network is down"),
    ],
)
def test_edge_that_cannot_listen_says_truly_why(
    monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    """A missing right is no taken port."""

    def listen(address: str, port: int) -> None:
        assert ("127.0.0.1", 80) == (address, port)
        raise OSError(number, os.strerror(number))

    found = [
        (socket.AF_INET6, 1, 6, "", ("::1", 80)),
        (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(ports, "_listen", listen)
    with pytest.raises(StackError) as refused:
        edge_address("edge.test", 80)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "127.0.0.2"])
def test_edge_listens_on_any_address_or_name(host: str) -> None:
    """As numbers, which is how Envoy takes it."""
    expected = "127.0.0.1" if host == "localhost" else host
    assert expected == edge_address(host, free_port())
