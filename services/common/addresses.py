"""Where callers are: addresses, and the networks that stand for one place each."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_IPV6_PREFIX = 64  # whoever has one address of it has them all


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
