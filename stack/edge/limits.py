"""What the edge takes of one address and of one user; beyond it, RATE_LIMITED."""

from dataclasses import dataclass
from typing import Any

from services.common.context import Role

Config = dict[str, Any]

_TYPE = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_ALWAYS: Config = {"default_value": {"numerator": 100}, "runtime_key": "kuji.none"}
_BUCKETS = 100_000  # of each kind, those used last; who comes back later finds a full one
# Whoever no bucket is for, such as services, shares this one; no machine gets to its end.
_ENDLESS: Config = {"max_tokens": 10**9, "tokens_per_fill": 10**9, "fill_interval": "1s"}
_RETRY_AFTER: Config = {"header": {"key": "retry-after", "value": "1"}}
_CLAIMS = "envoy.filters.http.jwt_authn"


@dataclass(frozen=True, slots=True)
class Limit:
    """
    A bucket of calls.

    Args:
        per_s: How many come back in a second.
        burst: How many it holds.
    """

    per_s: int
    burst: int

    def bucket(self) -> Config:
        """As Envoy has it."""
        return {
            "max_tokens": self.burst,
            "tokens_per_fill": self.per_s,
            "fill_interval": "1s",
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limits of one process of Envoy; its workers share them.

    Args:
        address: Calls of an address; of IPv6, of its /64.
        credentials: Its registrations, logins and refreshes.
        user: Calls of a user, from wherever.
    """

    address: Limit = Limit(10_000, 20_000)
    credentials: Limit = Limit(50, 3_000)
    user: Limit = Limit(5_000, 10_000)


def _filter(name: str, actions: list[Config], descriptors: list[Config]) -> Config:
    return {
        "@type": _TYPE,
        "stat_prefix": name,
        "filter_enabled": _ALWAYS,
        "filter_enforced": _ALWAYS,
        "token_bucket": _ENDLESS,
        "always_consume_default_token_bucket": False,
        "max_dynamic_descriptors": _BUCKETS,
        "response_headers_to_add": [_RETRY_AFTER],
        "rate_limits": [{"actions": actions, "x_ratelimit_option": "DRAFT_VERSION_03"}],
        "descriptors": descriptors,
    }


def of_address(name: str, limit: Limit) -> Config:
    """A limit of each address, counted as *name*."""
    place = {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}
    descriptor = {"entries": [{"key": "masked_remote_address"}], "token_bucket": limit.bucket()}
    return _filter(name, [{"masked_remote_address": place}], [descriptor])


def of_user(name: str, limit: Limit) -> Config:
    """A limit of each user that a verified token names, staff too; services have none."""
    descriptors = [
        {
            "entries": [{"key": "role", "value": role.value}, {"key": "user"}],
            "token_bucket": limit.bucket(),
        }
        for role in Role
        if role is not Role.SERVICE
    ]
    return _filter(name, [_claim("role", "role"), _claim("user", "sub")], descriptors)


def _claim(key: str, claim: str) -> Config:
    path = [{"key": "claims"}, {"key": claim}]
    return {
        "metadata": {
            "descriptor_key": key,
            "metadata_key": {"key": _CLAIMS, "path": path},
            "source": "DYNAMIC",
        }
    }
