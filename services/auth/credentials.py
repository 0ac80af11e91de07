"""What usernames, passwords and email addresses may look like."""

import re

from services.common.errors import InvalidArgumentError

USERNAME_PATTERN = "[A-Za-z0-9_.-]{3,32}"
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 128
MAX_EMAIL_LENGTH = 254

_USERNAME = re.compile(USERNAME_PATTERN)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def is_username(text: str) -> bool:
    """Whether a user could be called *text*."""
    return _USERNAME.fullmatch(text) is not None


def check_registration(username: str, password: str, email: str) -> None:
    """
    Raise InvalidArgumentError for the first field that breaks its rule.

    Args:
        username: 3…32 of letters, digits, "_", "-", ".".
        password: 8…128 characters, any.
        email: Empty, or at most 254 printable characters of the form a@b.c.
    """
    if not is_username(username):
        raise InvalidArgumentError(
            "username", "A username has 3 to 32 letters, digits, '_', '-' or '.'."
        )
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidArgumentError(
            "password",
            f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.",
        )
    if email and not _is_email(email):
        raise InvalidArgumentError(
            "email", f"An email address looks like a@b.c, up to {MAX_EMAIL_LENGTH} characters."
        )


def _is_email(text: str) -> bool:
    return (
        len(text) <= MAX_EMAIL_LENGTH and text.isprintable() and _EMAIL.fullmatch(text) is not None
    )
