"""Where callers are: addresses, and the networks that stand for one place each."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_IPV6_PREFIX = 64  # whoever has one address of it has them all
_MAPPED_PREFIX = 96  # ::ffff:0:0/96


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """
    The address that *text* names; None where it names none.

    Args:
        text: An address, or a peer as gRPC writes it: "ipv4:192.0.2.1:443",
            "ipv6:[2001:db8::1]:443", its brackets perhaps as %5B and %5D.
    """
    kind, _, rest = text.partition(":")
    if kind in {"ipv4", "ipv6"}:
        host = rest.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]")
        text = host.strip("[]")
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network | None:
    """
    The range of addresses that *text* names, as they are seen here; None where it names none.

    Args:
        text: An address, which is a range of one, or a range such as "203.0.113.0/24". Bits behind
            its prefix are dropped, and IPv4 within IPv6 is IPv4.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if "%" in text:  # a zone means something on one machine alone
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_PREFIX:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return network


def network_text(network: Network) -> str:
    """How *network* is written: a range of one is its address."""
    return str(network.network_address if network.num_addresses == 1 else network)


def network_of(text: str) -> str:
    """
    The network that stands for the place of an address: itself, of IPv6 its /64.

    Args:
        text: As parse_address takes it. What names no address, such as the socket of a process
            on this machine, is one place, "local".
    """
    address = parse_address(text)
    if address is None:
        return "local"
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
