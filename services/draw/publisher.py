"""Publishing a configuration: what the store says of it, as a result or an error."""

from services.common.errors import (
    ConflictError,
    InvalidArgumentError,
    PoolNotLoadedError,
    UnavailableError,
    UnitsBelowWonError,
)
from services.pool.rule.terms import ConfigureCode, Configured, PoolConfig, PoolStore
from services.pool.store.redis_store import ClockOffError


async def configure(
    store: PoolStore,
    pool_id: int,
    expected_version: int,
    version: int,
    config: PoolConfig,
    document: str,
) -> Configured:
    """
    Make *config* (*document*: the same as JSON) the live one of *pool_id*.

    A version is handed out once. So where it is live already, this very publication took effect
    and its answer was lost: what holds now is answered.

    Raises:
        ConflictError: The live version is another, or *version* is not above it.
        PoolNotLoadedError: The store has lost the pool, or went back to before *expected_version*.
        UnitsBelowWonError: A prize would have fewer units than winners.
        InvalidArgumentError: A prize went missing, or turned from finite to unlimited or back; or
            the pool has ended.
        UnavailableError: It took effect, and what held then is not known any more; or the store's
            clock is off, and it did not.
    """
    configured = await store.configure(pool_id, expected_version, version, config, document)
    match configured.code:
        case ConfigureCode.CONFLICT if configured.detail == version:
            return await _published_before(store, pool_id, version)
        # Whoever expects a version has seen it live, and versions only rise: the store lost it.
        case ConfigureCode.CONFLICT if configured.detail < expected_version:
            raise PoolNotLoadedError
        case ConfigureCode.NOT_LOADED:
            raise PoolNotLoadedError
        case ConfigureCode.CLOCK_OFF:
            raise ClockOffError
        case ConfigureCode.CONFLICT:
            raise ConflictError(live_version=configured.detail)
        case ConfigureCode.UNITS_BELOW_WON:
            raise UnitsBelowWonError(configured.detail, configured.won)
        case ConfigureCode.PRIZE_CHANGED:
            raise InvalidArgumentError(
                "units", f"Prize {configured.detail} is missing, or changed between finite and not."
            )
        case ConfigureCode.ENDED:
            raise InvalidArgumentError("status", "It has ended for good.")
    return configured


async def _published_before(store: PoolStore, pool_id: int, version: int) -> Configured:
    live = await store.inspect(pool_id)
    if live is None or live.version != version:
        raise UnavailableError
    return Configured(ConfigureCode.CONFIGURED, live.seq, live.stocks)
