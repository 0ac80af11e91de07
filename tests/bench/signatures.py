"""
python -m tests.bench.signatures: what it costs to sign an access token, and to check one.

Each kind of key in turn, five times so many: microseconds of CPU, medians; smallest and largest in
brackets. A check is the whole of TokenVerifier's, of a token that it has not seen.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import jwt

from services.auth.access_tokens import claims_of
from services.auth.signing import KIND_OF_ALGORITHM, KeyPair
from services.common.context import Caller, Role
from services.common.keyset import Jwks
from services.common.tokens import TokenVerifier
from tests.bench.figures import spread
from tests.bench.machine import cores, cpu_model, load

_ROUNDS, _TOKENS = 5, 400
_LIFE_S = 3600


def _us_each(work: Callable[[], object], count: int) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) / count * 1e6


class _Kind:
    """A key, and what its tokens cost."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair
        self._jwk = pair.public_part() | {"kid": "one", "alg": pair.algorithm, "use": "sig"}
        self._made = 0
        self.signing: list[float] = []
        self.checking: list[float] = []

    async def measure(self) -> None:
        """One round."""
        tokens: list[str] = []
        self.signing.append(_us_each(lambda: tokens.extend(self._tokens()), _TOKENS))
        verifier = TokenVerifier(self._fetch)
        await verifier.verify(next(iter(self._tokens(1))))
        self.checking.append(_us_each(lambda: [verifier.verified(one) for one in tokens], _TOKENS))

    async def _fetch(self) -> Jwks:
        return {"keys": [self._jwk]}

    def _tokens(self, count: int = _TOKENS) -> Iterable[str]:
        now = int(datetime.now(UTC).timestamp())
        for _ in range(count):
            self._made += 1
            caller = Caller(self._made, f"user_{self._made}", Role.USER)
            claims = claims_of(caller, now, _LIFE_S, str(self._made))
            yield jwt.encode(claims, self.pair.private, self.pair.algorithm, headers={"kid": "one"})


async def _measure() -> None:
    before = load()
    kinds = [_Kind(kind.generate()) for kind in KIND_OF_ALGORITHM.values()]
    for _ in range(_ROUNDS):
        for kind in kinds:
            await kind.measure()
    for kind in kinds:
        print(f"{kind.pair.algorithm}: signed in {spread(kind.signing)} us", end=", ")
        print(f"checked in {spread(kind.checking)} us")
    print(f"{cores()} cores, {cpu_model()}; load before {before:.2f}")


if __name__ == "__main__":
    asyncio.run(_measure())
