"""Prize codes: short, unique by construction, not guessable before the draw."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


def _base32(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
        if not number:
            return digits


def prize_code(pool_id: int, seq: int, tag: bytes) -> str:
    """
    The code that the winner of draw (*pool_id*, *seq*) redeems by.

    Args:
        pool_id: ≥ 1.
        seq: ≥ 1; (pool_id, seq) makes the code unique.
        tag: 4 bytes of the draw's roll; their first 25 bits make the code hard to guess.

    Returns:
        For example "1-7Q-X9F2C".
    """
    suffix = _base32(int.from_bytes(tag) >> 7).rjust(5, "0")
    return f"{_base32(pool_id)}-{_base32(seq)}-{suffix}"
