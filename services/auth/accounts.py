"""Accounts: who there is, and who has proved to be it."""

from services.auth.credentials import check_email, is_username
from services.auth.lanes import KNOWN, REGISTRATION, Lane
from services.auth.login_guard import Knock, LoginGuard
from services.auth.passwords import Passwords, Verdict
from services.auth.user_store import KnownNetworkStore, Profile, UserRow, UserStore
from services.common.context import STAFF, Caller, Role
from services.common.errors import (
    BadCredentialsError,
    ConflictError,
    NotFoundError,
    OverloadedError,
    UsernameTakenError,
)

_OURSELVES = Lane(KNOWN, "", "")
_CLEANUP_BATCH = 1000
_NO_USER = "There is no such user."


class Accounts:
    """Registers users and checks their passwords."""

    def __init__(
        self,
        users: UserStore,
        networks: KnownNetworkStore,
        passwords: Passwords,
        guard: LoginGuard,
    ) -> None:
        self._users = users
        self._networks = networks
        self._passwords = passwords
        self._guard = guard

    async def register(self, username: str, password: str, email: str, network: str) -> UserRow:
        """
        The new user.

        Args:
            network: Where the caller is; from then on it is known as the user's.

        Raises:
            InvalidArgumentError: The address holds what cannot be printed.
            UsernameTakenError: The name exists, in this or another case.
            OverloadedError: Too many passwords are being hashed.
        """
        check_email(email)
        password_hash = await self._passwords.hash(
            password, Lane(REGISTRATION, network, username.lower())
        )
        user = await self._users.add(username, password_hash, email)
        if user is None:
            raise UsernameTakenError
        await self._networks.remember(user, network)
        return user

    async def authenticate(self, username: str, password: str, network: str) -> UserRow:
        """
        The user that these credentials prove.

        Args:
            network: Where the caller is.

        Raises:
            RateLimitedError: Too many logins failed before.
            BadCredentialsError: Name or password is wrong; both take the same time.
            OverloadedError: Too many passwords are being checked.
        """
        if not is_username(username):
            raise BadCredentialsError
        self._guard.recall(username.lower(), network)
        is_known = await self._networks.is_known(username, network)
        knock = Knock(username.lower(), network, is_known)
        lane = self._guard.admit(knock)
        user = await self._users.find(username)
        verdict = await self._check(password, user, knock, lane)
        if user is None or not verdict.matches:
            raise BadCredentialsError
        self._guard.succeed(knock)
        if verdict.new_hash:
            user = await self._users.replace_password_hash(user, verdict.new_hash)
        await self._networks.remember(user, network)
        return user

    async def authenticate_admin(self, username: str, password: str, network: str) -> UserRow:
        """Like authenticate; a user without a role of the staff gets BadCredentialsError too."""
        user = await self.authenticate(username, password, network)
        if user.role not in STAFF:
            raise BadCredentialsError
        return user

    async def change_password(
        self, caller: Caller, old_password: str, new_password: str, network: str
    ) -> UserRow:
        """
        Give the caller's account another password, and end all its logins.

        Returns:
            The user, for whom a new login may be opened.

        Raises:
            RateLimitedError, BadCredentialsError, OverloadedError: As authenticate does.
            ConflictError: The password was changed meanwhile.
            NotFoundError: A service has no password.
        """
        if caller.role is Role.SERVICE:
            raise NotFoundError(_NO_USER)
        user = await self.authenticate(caller.username, old_password, network)
        new_hash = await self._passwords.hash(
            new_password, Lane(KNOWN, network, caller.username.lower())
        )
        changed = await self._users.change_password(user, new_hash)
        if changed is None:
            raise ConflictError
        return changed

    async def end_logins(self, caller: Caller) -> None:
        """End every login of the caller, and their access tokens."""
        await self._users.end_logins(caller.user_id)

    async def ensure_admin(self, username: str, password: str) -> None:
        """Make sure that this administrator exists and has this password; safe to repeat."""
        user = await self._users.find(username)
        if user is not None and user.role is Role.ADMIN:
            verdict = await self._passwords.check(password, user.password_hash, _OURSELVES)
            if verdict.matches:
                return
        await self._users.set_admin(username, await self._passwords.hash(password, _OURSELVES))

    async def forget_old_networks(self) -> None:
        """Forget where nobody has logged in from for long; in batches."""
        while await self._networks.delete_old(_CLEANUP_BATCH) == _CLEANUP_BATCH:
            pass

    async def profile(self, caller: Caller) -> Profile:
        """What *caller* sees of itself; NotFoundError for a service, which has no profile."""
        profile = None
        if caller.role is not Role.SERVICE:
            profile = await self._users.profile(caller.user_id)
        if profile is None:
            raise NotFoundError(_NO_USER)
        return profile

    async def _check(
        self, password: str, user: UserRow | None, knock: Knock, lane: Lane
    ) -> Verdict:
        try:
            return await self._passwords.check(password, user.password_hash if user else None, lane)
        except OverloadedError:
            self._guard.uncount(knock)
            raise
