"""What the operators' command may use of auth; nothing else of it is offered."""

from services.auth.administration import (
    Account,
    Administration,
    LastAdministratorError,
    NoSuchAccountError,
)
from services.auth.bulk_accounts import BulkAccounts, OtherPasswordError
from services.auth.importing import (
    BATCH,
    MAX_LINE_LENGTH,
    BadLine,
    Entry,
    HeaderError,
    Importer,
    Reader,
)
from services.auth.key_store import KeyStore
from services.auth.keys import KeyCipher, KeyRing, KeyUnreadableError, rotate_signing_key
from services.auth.minting import mint_of, mint_tokens
from services.auth.passwords import Argon2Cost
from services.auth.settings import AuthSettings
from services.auth.signing import EdKey, RsaKey

__all__ = [
    "BATCH",
    "MAX_LINE_LENGTH",
    "Account",
    "Administration",
    "Argon2Cost",
    "AuthSettings",
    "BadLine",
    "BulkAccounts",
    "EdKey",
    "Entry",
    "HeaderError",
    "Importer",
    "KeyCipher",
    "KeyRing",
    "KeyStore",
    "KeyUnreadableError",
    "LastAdministratorError",
    "NoSuchAccountError",
    "OtherPasswordError",
    "Reader",
    "RsaKey",
    "mint_of",
    "mint_tokens",
    "rotate_signing_key",
]
