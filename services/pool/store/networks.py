"""Blocked ranges of addresses, as Redis holds them, and found by an address in it."""

from collections.abc import Iterable, Iterator, Mapping

from services.common.addresses import Network, parse_address


def field_of(network: Network) -> str:
    """How Redis names *network*: its first address in hexadecimal, "/" and the prefix's length."""
    return _field(int(network.network_address), network.max_prefixlen, network.prefixlen)


def _field(number: int, bits: int, prefix: int) -> str:
    return f"{number:0{bits // 4}x}/{prefix}"


def latest(untils: Iterable[int]) -> int:
    """The last of these moments, ms; 0, for good, is later than any."""
    found = list(untils)
    return max(found) if all(found) else 0


class Networks:
    """
    Ranges, each with the Unix milliseconds until which it is blocked, 0: for good.

    Whether an address is in one takes a look for each length of prefix that there is: 142 at most,
    however many ranges there are.

    Args:
        untils: By field_of() a range.
    """

    def __init__(self, untils: Mapping[str, int]) -> None:
        self._untils = dict(untils)
        lengths = {(4 * field.index("/"), field.rpartition("/")[2]) for field in self._untils}
        self._prefixes = {
            bits: sorted(int(prefix) for other, prefix in lengths if other == bits)
            for bits in {bits for bits, _ in lengths}
        }

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._untils)

    def untils_of(self, address: str) -> Iterator[int]:
        """Until when the ranges around *address* are blocked; nothing for what is no address."""
        found = parse_address(address)
        if found is None:
            return
        number, bits = int(found), found.max_prefixlen
        for prefix in self._prefixes.get(bits, ()):
            host_bits = bits - prefix
            until = self._untils.get(_field(number >> host_bits << host_bits, bits, prefix))
            if until is not None:
                yield until

    def over(self, now_ms: int) -> list[str]:
        """The fields of those that have run out."""
        return [field for field, until in self._untils.items() if 0 < until <= now_ms]


NO_NETWORKS = Networks({})
