"""Accounts: who there is, and who has proved to be it."""

from services.auth.credentials import check_attempt, check_registration, is_username
from services.auth.passwords import Passwords
from services.auth.store import Profile, User, UserStore
from services.common.context import Caller, Role
from services.common.errors import BadCredentialsError, NotFoundError, UsernameTakenError


class Accounts:
    """Registers users and checks their passwords."""

    def __init__(self, users: UserStore, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def register(self, username: str, password: str, email: str) -> User:
        """
        The new user.

        Raises:
            InvalidArgumentError: A field breaks its rule, see credentials.
            UsernameTakenError: The name exists, in this or another case.
            OverloadedError: Too many passwords are being hashed.
        """
        check_registration(username, password, email)
        user = await self._users.add(username, await self._passwords.hash(password), email)
        if user is None:
            raise UsernameTakenError
        return user

    async def authenticate(self, username: str, password: str) -> User:
        """
        The user that these credentials prove.

        Raises:
            InvalidArgumentError: Name or password is longer than any.
            BadCredentialsError: Name or password is wrong; both take the same time.
            OverloadedError: Too many passwords are being checked.
        """
        check_attempt(username, password)
        user = await self._users.find(username) if is_username(username) else None
        verdict = await self._passwords.check(password, user.password_hash if user else None)
        if user is None or not verdict.matches:
            raise BadCredentialsError
        if verdict.new_hash:
            await self._users.replace_password_hash(user, verdict.new_hash)
        return user

    async def authenticate_admin(self, username: str, password: str) -> User:
        """Like authenticate; a user without the admin role gets BadCredentialsError too."""
        user = await self.authenticate(username, password)
        if user.role is not Role.ADMIN:
            raise BadCredentialsError
        return user

    async def ensure_admin(self, username: str, password: str) -> None:
        """Make sure that this administrator exists and has this password; safe to repeat."""
        try:
            await self.authenticate_admin(username, password)
        except BadCredentialsError:
            await self._users.set_admin(username, await self._passwords.hash(password))

    async def profile(self, caller: Caller) -> Profile:
        """What *caller* sees of itself; NotFoundError for a service, which has no profile."""
        profile = None
        if caller.role is not Role.SERVICE:
            profile = await self._users.profile(caller.user_id)
        if profile is None:
            raise NotFoundError("There is no such user.")
        return profile
