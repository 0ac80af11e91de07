"""How often passwords may be guessed, without anybody locking an account's owner out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache
from prometheus_client import Counter

from services.auth.attempts import Allowance, Attempts
from services.auth.lanes import KNOWN, UNKNOWN, Lane
from services.common.errors import RateLimitedError

REFUSED = Counter("kuji_auth_logins_refused", "Logins refused unchecked: too many failed before")


@dataclass(frozen=True, slots=True)
class LoginAllowances:
    """
    Failed logins that are allowed; one that succeeds is not counted.

    Args:
        known: Of an account from a network that its owner has logged in from.
        unknown: Of an account from any other network.
        account: Of an account from all networks unknown to it together.
        network: Of a network for all accounts that it is unknown to.
    """

    known: Allowance
    unknown: Allowance
    account: Allowance
    network: Allowance


@dataclass(frozen=True, slots=True)
class Knock:
    """
    Somebody who says to be somebody.

    Args:
        account: Name of the account, in lower case; it need not exist.
        network: Where the caller is, see services.common.addresses.
        is_known: Whether the account's owner has logged in from there.
    """

    account: str
    network: str
    is_known: bool

    @property
    def pair(self) -> str:
        """Account and network, as what is counted."""
        return f"{'known' if self.is_known else 'unknown'} {self.account} {self.network}"


class LoginGuard:
    """
    Counts failed logins and refuses what is too many, before a password is looked at.

    From a network that the owner has logged in from, nothing counts but what was tried from
    there: whoever attacks from elsewhere, from however many places, does not keep the owner out.

    Args:
        capacity: Subjects, and refusals, that are remembered.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        allowances: LoginAllowances,
        capacity: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowances = allowances
        self._attempts = Attempts(capacity, now)
        self._now = now
        self._refused_until: LRUCache[tuple[str, str], float] = LRUCache(capacity)

    def recall(self, account: str, network: str) -> None:
        """RateLimitedError where that account was refused there, and nothing has changed since."""
        wait_s = self._refused_until.get((account, network), 0.0) - self._now()
        if wait_s > 0:
            raise _too_many(wait_s)

    def admit(self, knock: Knock) -> Lane:
        """
        Count an attempt, and say in which lane it waits for its check.

        Raises:
            RateLimitedError: Too many failed, and when there is one more.
        """
        is_clean = knock.is_known and not self._attempts.has_counted(knock.pair)
        wait_s = self._attempts.take(self._asked_of(knock))
        if wait_s:
            self._refused_until[knock.account, knock.network] = self._now() + wait_s
            raise _too_many(wait_s)
        return Lane(KNOWN if is_clean else UNKNOWN, knock.network, knock.account)

    def uncount(self, knock: Knock) -> None:
        """The attempt came to nothing: its password was not checked."""
        self._attempts.give_back(self._asked_of(knock))

    def succeed(self, knock: Knock) -> None:
        """The attempt was the owner's: nothing that failed from there counts any more."""
        self.uncount(knock)
        self._attempts.forget(knock.pair)
        self._refused_until.pop((knock.account, knock.network), None)

    def _asked_of(self, knock: Knock) -> dict[str, Allowance]:
        if knock.is_known:
            return {knock.pair: self._allowances.known}
        return {
            knock.pair: self._allowances.unknown,
            f"account {knock.account}": self._allowances.account,
            f"network {knock.network}": self._allowances.network,
        }


def _too_many(wait_s: float) -> RateLimitedError:
    REFUSED.inc()
    return RateLimitedError(
        "Too many logins have failed. Please wait a moment.", math.ceil(wait_s * 1000)
    )
