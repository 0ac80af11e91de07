"""What the operators' command may use of auth; nothing else of it is offered."""

from services.auth.administration import (
    Account,
    Administration,
    LastAdministratorError,
    NoSuchAccountError,
)
from services.auth.keys import KeyCipher, KeyRing, KeyUnreadableError, rotate_signing_key
from services.auth.settings import AuthSettings
from services.auth.store import KeyStore

__all__ = [
    "Account",
    "Administration",
    "AuthSettings",
    "KeyCipher",
    "KeyRing",
    "KeyStore",
    "KeyUnreadableError",
    "LastAdministratorError",
    "NoSuchAccountError",
    "rotate_signing_key",
]
