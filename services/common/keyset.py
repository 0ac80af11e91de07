"""The auth service's public keys, as this process knows them; a copy outlives it."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from jwt import PyJWK, PyJWKSet

from services.common.errors import UnauthenticatedError, UnavailableError
from services.common.outages import told
from services.common.tasks import Trouble, stray_cancellation

log = structlog.get_logger()

_REFETCH_AFTER_S = 1.0
_KEYS_LIVE_S = 60.0
_COPY_LIVES_S = 24 * 3600.0
_FETCH_S = 2.0

Jwks = dict[str, Any]
FetchJwks = Callable[[], Awaitable[Jwks]]


class KeySet:
    """
    Keys by kid.

    A key that is known is good at once; the set is fetched again beside it, every minute. One that
    is not known is asked for, and is only unknown when the auth service says so.

    Args:
        fetch: Gets the set from the auth service.
        copy: File with the set as last fetched, for a start while auth is away; None: no such file.
        now: Unix seconds.
    """

    def __init__(
        self, fetch: FetchJwks, copy: Path | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._copy = copy
        self._now = now
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._flight: asyncio.Task[None] | None = None
        self._trouble = Trouble("fetch_keys")

    async def key(self, kid: str) -> PyJWK:
        """
        The key of this name.

        Raises:
            UnauthenticatedError: There is no such key.
            UnavailableError: It is not known here, and the auth service cannot be asked.
        """
        key = self.at_hand(kid)
        if key is not None:
            return key
        flight = self._take_off()
        if flight is not None:
            await asyncio.shield(flight)
        if kid in self._keys:
            return self._keys[kid]
        if self._fetched_at < self._tried_at:
            raise UnavailableError("Access tokens cannot be checked now; nothing was done.")
        raise UnauthenticatedError("The access token is signed by an unknown key.")

    def at_hand(self, kid: str) -> PyJWK | None:
        """The key of this name; None: it is not known here."""
        key = self._keys.get(kid)
        if key is not None and self._now() - self._fetched_at > _KEYS_LIVE_S:
            self._take_off()
        return key

    def _take_off(self) -> asyncio.Task[None] | None:
        """The fetch in flight, for all who wait for one; None: the last one was just now."""
        if self._flight is None and self._now() - self._tried_at > _REFETCH_AFTER_S:
            self._flight = asyncio.create_task(self._refresh())
        return self._flight

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):
                keys = await self._fetch()
            self._keys = _by_kid(keys)
        except asyncio.CancelledError:
            self._failed(stray_cancellation())
        except Exception as error:  # noqa: BLE001  # it is told, and the next call tries again
            self._failed(error)
        else:
            self._fetched_at = self._tried_at = self._now()
            self._trouble.over()
            self._write_copy(json.dumps(keys))
        finally:
            self._flight = None

    def _failed(self, error: Exception) -> None:
        self._trouble.met(error)
        self._tried_at = self._now()
        if not self._keys:
            self._keys = self._read_copy()

    def _read_copy(self) -> Mapping[str, PyJWK]:
        if self._copy is None:
            return {}
        try:
            age_s = time.time() - self._copy.stat().st_mtime
            return (
                _by_kid(json.loads(self._copy.read_text("utf-8"))) if age_s < _COPY_LIVES_S else {}
            )
        except FileNotFoundError:
            return {}
        except Exception as error:  # noqa: BLE001  # it is told; the copy is a help, no need
            log.warning("copy of the keys not readable", file=str(self._copy), error=told(error))
            return {}

    def _write_copy(self, text: str) -> None:
        if self._copy is None:
            return
        fresh = self._copy.with_name(f"{self._copy.name}.{os.getpid()}")
        try:
            fresh.write_text(text)
            fresh.replace(self._copy)
        except OSError as error:
            log.warning("copy of the keys not written", file=str(self._copy), error=told(error))
            with suppress(OSError):
                fresh.unlink(missing_ok=True)


def _by_kid(keys: Jwks) -> Mapping[str, PyJWK]:
    return {str(key.key_id): key for key in PyJWKSet.from_dict(keys).keys}
