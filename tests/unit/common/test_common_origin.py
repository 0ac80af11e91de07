"""Where callers are, and who is believed about it."""

import pytest

from services.common.addresses import network_of, parse_address
from services.common.origin import Origins

EDGE = "ipv4:127.0.0.1:50000"
SECRET = "what the edge shows"


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("ipv4:192.0.2.1:443", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:443", "2001:db8:1:2::/64"),
        ("ipv6:[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:/run/kuji.sock", "local"),
        ("ipv4:nonsense", "local"),
        ("", "local"),
    ],
)
def test_network_stands_for_one_place(text: str, network: str) -> None:
    """An IPv4 address, or the /64 that one subscriber of IPv6 has; and what has no address."""
    assert network == network_of(text)


def test_address_is_none_when_it_is_none() -> None:
    """No guessing: "1.2.3" and leading zeros are no addresses."""
    assert [parse_address(text) for text in ("1.2.3", "01.2.3.4", "a.b.c.d", "::g")] == [None] * 4


@pytest.mark.parametrize(
    ("secret", "metadata", "address"),
    [
        (SECRET, [("x-kuji-edge", SECRET), ("x-kuji-client-address", "192.0.2.1")], "192.0.2.1"),
        (SECRET, [("x-kuji-client-address", "192.0.2.1")], EDGE),
        (SECRET, [("x-kuji-edge", "wrong"), ("x-kuji-client-address", "192.0.2.1")], EDGE),
        (SECRET, [("x-kuji-edge", SECRET)], EDGE),
        (SECRET, [("x-forwarded-for", "192.0.2.1"), ("x-kuji-edge", SECRET)], EDGE),
        ("", [("x-kuji-edge", ""), ("x-kuji-client-address", "192.0.2.1")], EDGE),
        ("", [("x-kuji-client-address", "192.0.2.1")], EDGE),
    ],
)
def test_address_is_the_peers_unless_the_edge_says_another(
    secret: str, metadata: list[tuple[str, str]], address: str
) -> None:
    """Only who shows the edge's secret is believed; a caller without it is where it is."""
    origin = Origins(secret).origin_of(dict(metadata), lambda: EDGE)
    assert (address, EDGE) == (origin.address, origin.peer)


def test_user_agent_is_short_and_plain() -> None:
    """It goes into lists that people read."""
    agent = "Kuji\n/1\x1b[31m" + "x" * 1000
    origin = Origins("").origin_of({"user-agent": agent}, lambda: EDGE)
    assert origin.user_agent.startswith("Kuji/1[31mx")
    assert len(origin.user_agent) <= 200
