"""Prize codes: short, unique by construction, and no function of anything that is public."""

CODE_BYTES = 5
OLD_CODE_BYTES = 4  # of draws made when codes still came from the roll
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


def _base32(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
        if not number:
            return digits


def prize_code(pool_id: int, seq: int, code_bytes: bytes) -> str:
    """
    The code that the winner of draw (*pool_id*, *seq*) redeems by.

    Args:
        pool_id: ≥ 1.
        seq: ≥ 1; (pool_id, seq) makes the code unique.
        code_bytes: 5 secret bytes make it hard to guess; of an old draw 4, and 25 bits count.

    Returns:
        For example "1-7Q-X9F2C0MT".

    Raises:
        ValueError: Neither 5 bytes nor 4.
    """
    return f"{code_prefix(pool_id, seq)}{_suffix(code_bytes)}"


def code_prefix(pool_id: int, seq: int) -> str:
    """How every code of draw (*pool_id*, *seq*) begins: it tells the draw, and is no secret."""
    return f"{_base32(pool_id)}-{_base32(seq)}-"


def _suffix(code_bytes: bytes) -> str:
    number = int.from_bytes(code_bytes)
    if len(code_bytes) == CODE_BYTES:
        return _base32(number).rjust(8, "0")
    if len(code_bytes) == OLD_CODE_BYTES:
        return _base32(number >> 7).rjust(5, "0")
    raise ValueError(f"a prize code is not made of {len(code_bytes)} bytes")
