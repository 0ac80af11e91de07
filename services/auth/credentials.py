"""What usernames, passwords, email addresses and tokens may look like."""

import re

from services.common.errors import InvalidArgumentError

MAX_USERNAME_LENGTH = 32
USERNAME_PATTERN = f"[A-Za-z0-9_.-]{{3,{MAX_USERNAME_LENGTH}}}"
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 128
MAX_EMAIL_LENGTH = 254
MAX_REFRESH_TOKEN_LENGTH = 128
MAX_SERVICE_LENGTH = 64
MAX_SERVICE_SECRET_LENGTH = 256

_USERNAME = re.compile(USERNAME_PATTERN)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def is_username(text: str) -> bool:
    """Whether a user could be called *text*."""
    return _USERNAME.fullmatch(text) is not None


def check_length(field: str, text: str, at_most: int) -> None:
    """
    Raise InvalidArgumentError for text of a stranger that is longer than *at_most* characters.

    To be called before anything else is done with it: composing its characters, for one, takes
    time that grows with the square of the length. In UTF-8 it then has at most four times as
    many bytes.
    """
    if len(text) > at_most:
        raise InvalidArgumentError(field, f"{field} has at most {at_most} characters.")


def check_attempt(username: str, password: str) -> None:
    """Raise InvalidArgumentError for credentials too long to be anybody's."""
    check_length("username", username, MAX_USERNAME_LENGTH)
    check_length("password", password, MAX_PASSWORD_LENGTH)


def check_registration(username: str, password: str, email: str) -> None:
    """
    Raise InvalidArgumentError for the first field that breaks its rule.

    Args:
        username: 3…32 of letters, digits, "_", "-", ".".
        password: 8…128 characters, any.
        email: Empty, or at most 254 printable characters of the form a@b.c.
    """
    check_username(username)
    check_password("password", password)
    check_email(email)


def check_username(username: str) -> None:
    """Raise InvalidArgumentError for what nobody can be called."""
    if not is_username(username):
        raise InvalidArgumentError(
            "username", "A username has 3 to 32 letters, digits, '_', '-' or '.'."
        )


def check_email(email: str) -> None:
    """Raise InvalidArgumentError for an address that is neither empty nor of the form a@b.c."""
    if email and not _is_email(email):
        raise InvalidArgumentError(
            "email", f"An email address looks like a@b.c, up to {MAX_EMAIL_LENGTH} characters."
        )


def check_password(field: str, password: str) -> None:
    """Raise InvalidArgumentError for a new password of less than 8 or more than 128 characters."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidArgumentError(
            field, f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
        )


def _is_email(text: str) -> bool:
    return (
        len(text) <= MAX_EMAIL_LENGTH and text.isprintable() and _EMAIL.fullmatch(text) is not None
    )
