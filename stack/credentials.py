"""Who may come into the embedded stores, and with which passwords."""

import hashlib
import hmac
from pathlib import Path
from string import Template

OPERATOR = "operator"
_VALKEY_USERS = Path(__file__).with_name("valkey.acl")


class Passwords:
    """
    A password for each user of each store.

    Args:
        secret: What they are derived from; with another one, all are others.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, store: str, user: str) -> str:
        """The password of *user* in *store*; 256 bits, safe in a URL."""
        return hmac.digest(self._secret, f"{store}/{user}".encode(), "sha256").hex()

    def valkey_users(self, users: tuple[str, ...]) -> str:
        """The content of Valkey's ACL file; it holds hashes alone."""
        hashes = {user.upper(): _sha256(self.of("valkey", user)) for user in users}
        return Template(_VALKEY_USERS.read_text("utf-8")).substitute(hashes)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
