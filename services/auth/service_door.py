"""How services get in: with the service secret that they share with auth."""

import hmac
import math
from collections.abc import Mapping

from cachetools import LRUCache

from services.auth.access_tokens import AccessTokens
from services.auth.attempts import Allowance, Attempts
from services.common.addresses import network_of
from services.common.context import Caller, Role
from services.common.errors import BadCredentialsError, RateLimitedError

_CAPACITY = 10_000
# Wrong secrets that are looked at: on one connection, and from one network.
_BY_CONNECTION = Allowance(burst=3, every_s=10.0)
_BY_NETWORK = Allowance(burst=50, every_s=0.2)


class ServiceDoor:
    """
    Lets services in that know the service secret.

    Guesses are limited, by connection and by network. A connection that the secret came over
    once is not limited, so that nobody beside it keeps a service out.

    Args:
        attempts: Counts the guesses.
    """

    def __init__(
        self, secret: str, tokens: AccessTokens, ttl_s: int, attempts: Attempts | None = None
    ) -> None:
        self._secret = secret.encode()
        self._tokens = tokens
        self._attempts = attempts or Attempts(_CAPACITY)
        self._proven: LRUCache[str, bool] = LRUCache(_CAPACITY)
        self.ttl_s = ttl_s

    def token_for(self, service: str, secret: str, peer: str) -> str:
        """
        An access token with the service role, living *ttl_s* seconds.

        Args:
            peer: The other end of the connection, as gRPC names it.

        Raises:
            RateLimitedError: Too many secrets were wrong before, and this one was not looked at.
            BadCredentialsError: The secret is another.
        """
        asked = self._admit(peer)
        if not hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), self._secret):
            self._proven.pop(peer, None)  # others come over it too, say by way of a proxy
            raise BadCredentialsError("The service secret is wrong.")
        self._attempts.give_back(asked)
        self._proven[peer] = True
        return self._tokens.issue(Caller(0, service, Role.SERVICE), self.ttl_s)

    def _admit(self, peer: str) -> Mapping[str, Allowance]:
        if peer in self._proven:
            return {}
        asked = {f"connection {peer}": _BY_CONNECTION, f"network {network_of(peer)}": _BY_NETWORK}
        wait_s = self._attempts.take(asked)
        if wait_s:
            raise RateLimitedError(
                "Too many service secrets were wrong. Please wait.", math.ceil(wait_s * 1000)
            )
        return asked
