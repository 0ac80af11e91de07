"""
The puzzle of a draw ticket: what a client has to find before it may draw.

    from kuji.puzzle import solve

    solution = solve(ticket, difficulty)

Or in a shell: python -m kuji.puzzle TICKET DIFFICULTY
"""

import hashlib
import sys
from itertools import count


def solve(ticket: str, difficulty: int) -> str:
    """
    The least number, in hexadecimal, that solves *ticket*'s puzzle.

    A solution is any ASCII text of 1…64 characters for which SHA-256(ticket + ":" + solution)
    begins with *difficulty* zero bits. That takes 2**difficulty attempts on average.

    Args:
        ticket: As it was issued.
        difficulty: 0…256; what is above 24 takes longer than a ticket lives.
    """
    begun = hashlib.sha256(f"{ticket}:".encode())
    bound = 1 << (8 * begun.digest_size - difficulty)
    for number in count():
        attempt = begun.copy()
        attempt.update(b"%x" % number)
        if int.from_bytes(attempt.digest(), "big") < bound:
            return f"{number:x}"
    raise AssertionError("unreachable")


if __name__ == "__main__":
    print(solve(sys.argv[1], int(sys.argv[2])))
