"""What operators do to accounts, each change with its line in the audit log."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.auth.user_store import end_logins_within
from services.common.context import Role
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)


class NoSuchAccountError(Exception):
    """Nobody is called that."""


class LastAdministratorError(Exception):
    """Without this one there would be no administrator who can log in."""


@dataclass(frozen=True, slots=True)
class Account:
    """
    An account, as an operator sees it.

    Args:
        deactivated_at: Since when it can do nothing; None: it is active.
    """

    user_id: int
    username: str
    role: Role
    created_at: datetime
    deactivated_at: datetime | None


class Administration:
    """
    Changes accounts.

    Each change is one transaction: the account, the end of its logins and of its access tokens,
    and a line in the audit log. What is so already stays as it is, without a line.

    Args:
        operator: Who does it, for the audit log.
    """

    def __init__(self, pool: asyncpg.Pool, operator: str) -> None:
        self._pool = pool
        self._operator = operator

    async def staff(self) -> list[Account]:
        """Every viewer, operator and administrator, the oldest account first."""
        return [_account_of(row) async for row in _queries.list_staff(self._pool)]

    async def set_role(self, username: str, role: Role) -> bool:
        """
        Give an account a role; it has to log in again. Whether that changed anything.

        Raises:
            NoSuchAccountError: Nobody is called that.
            LastAdministratorError: It is the only active administrator.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            account = await self._locked(connection, username)
            if account.role is role:
                return False
            await _queries.set_role(connection, user_id=account.user_id, role=role.value)
            detail = {"role": {"from": account.role.value, "to": role.value}}
            await self._finish(connection, account, "user.role", detail)
            return True

    async def set_active(self, username: str, active: bool) -> bool:
        """
        Deactivate an account, or activate it again. Whether that changed anything.

        Raises:
            NoSuchAccountError: Nobody is called that.
            LastAdministratorError: It is the only active administrator.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            account = await self._locked(connection, username)
            was_active = account.deactivated_at is None
            if was_active is active:
                return False
            await _queries.set_active(connection, user_id=account.user_id, active=active)
            detail = {"is_active": {"from": was_active, "to": active}}
            await self._finish(connection, account, "user.active", detail)
            return True

    async def _locked(self, connection: Connection, username: str) -> Account:
        await _queries.lock_administration(connection)
        row = await _queries.lock_account(connection, username=username)
        if row is None:
            raise NoSuchAccountError(username)
        return _account_of(row)

    async def _finish(
        self, connection: Connection, account: Account, action: str, detail: Mapping[str, object]
    ) -> None:
        if account.role is Role.ADMIN and not await _queries.count_administrators(connection):
            raise LastAdministratorError(account.username)
        await end_logins_within(connection, account.user_id)
        await _queries.add_audit(
            connection,
            username=self._operator,
            action=action,
            subject=f"user:{account.user_id}",
            detail=json.dumps({"username": account.username, **detail}),
        )


def _account_of(row: asyncpg.Record) -> Account:
    return Account(
        row["id"], row["username"], Role(row["role"]), row["created_at"], row["deactivated_at"]
    )
