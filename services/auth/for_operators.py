"""What the operators' command may use of auth; nothing else of it is offered."""

from services.auth.keys import KeyCipher, KeyRing, KeyUnreadableError, rotate_signing_key
from services.auth.settings import AuthSettings
from services.auth.store import KeyStore

__all__ = [
    "AuthSettings",
    "KeyCipher",
    "KeyRing",
    "KeyStore",
    "KeyUnreadableError",
    "rotate_signing_key",
]
