"""Accounts, as commands change them: who the operator is, and failures in one sentence."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ops.connections import OpsSettings, open_database, postgres_address
from ops.errors import OperatorError
from services.auth.for_operators import (
    Administration,
    LastAdministratorError,
    NoSuchAccountError,
)
from services.common.settings import read_settings

T = TypeVar("T")


def administer(work: Callable[[Administration], Awaitable[T]]) -> T:
    """What *work* does with the accounts of the stack; OperatorError where it cannot be done."""

    async def run() -> T:
        async with _administration(read_settings(OpsSettings)) as administration:
            return await work(administration)

    return asyncio.run(run())


@asynccontextmanager
async def _administration(settings: OpsSettings) -> AsyncIterator[Administration]:
    async with open_database(postgres_address(settings)) as postgres:
        try:
            yield Administration(postgres, f"{operator_name()} (kuji command)")
        except NoSuchAccountError as error:
            raise OperatorError(f"There is no user {error}") from error
        except LastAdministratorError as error:
            raise OperatorError(
                f"{error} is the only administrator: make another one first"
            ) from error


def operator_name() -> str:
    """Who runs the command, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name in this container
        return f"uid {os.getuid()}"
