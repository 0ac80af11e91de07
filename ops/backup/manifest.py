"""What a backup says of itself: written last, so that what has none is no backup."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.errors import OperatorError

DUMP = "kuji.dump"
SEALED_SECRETS = "secrets.sealed"
_MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20
# Those that what is stored hangs on. All are random: a fingerprint tells nothing of them.
_MARKED = ("KUJI_SEED_KEY", "KUJI_TOKEN_KEY_SECRET", "KUJI_CODE_KEY")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SavedFile(_Frozen):
    """A file of the backup."""

    sha256: str
    bytes: int


class SavedPool(_Frozen):
    """
    How far a pool was.

    Args:
        commitment: Of its seed, hexadecimal: what tells it from another installation's.
        recorded_seq: Newest draw that is in the backup.
        mark_seq: Newest draw that had been answered, as Postgres knew.
        draws: How many draws of it are in the backup.
    """

    pool_id: int
    commitment: str
    recorded_seq: int
    mark_seq: int
    draws: int


class Manifest(_Frozen):
    """
    What is in a backup.

    Args:
        made_at: The moment that it shows, by Postgres's clock.
        kuji: Version of Kuji.
        server: Version of Postgres, as a number such as 180004.
        schema_name: Newest migration.
        users, records: How many rows of each.
        pools: Every pool.
        tables: Name → bytes, as they were in Postgres.
        secrets: Name → fingerprint of the secrets that what is stored hangs on.
        files: Name → what it has to be.
    """

    format: Literal[1] = 1
    made_at: datetime
    kuji: str
    server: int
    schema_name: str
    users: int
    records: int
    pools: tuple[SavedPool, ...]
    tables: Mapping[str, int]
    secrets: Mapping[str, str]
    files: Mapping[str, SavedFile]

    @property
    def major(self) -> int:
        """Postgres's major version."""
        return self.server // 10_000


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it."""
    (folder / _MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """
    That of the backup in *folder*.

    Raises:
        OperatorError: There is no whole backup.
    """
    file = folder / _MANIFEST
    try:
        return Manifest.model_validate(json.loads(file.read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise OperatorError(
            f"{folder} is no backup, or one that was broken off: it has no {_MANIFEST}"
        ) from None
    except (ValidationError, ValueError) as error:
        raise OperatorError(f"{file} is damaged: {type(error).__name__}") from error


def saved_file(file: Path, on_bytes: Callable[[int], object] = lambda _: None) -> SavedFile:
    """What *file* is now; *on_bytes* is called with each number of bytes read."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            on_bytes(len(chunk))
    return SavedFile(sha256=digest.hexdigest(), bytes=size)


def check_files(
    folder: Path, manifest: Manifest, on_bytes: Callable[[int], object] = lambda _: None
) -> None:
    """OperatorError where a file is not what *manifest* says."""
    for name, expected in manifest.files.items():
        try:
            found = saved_file(folder / name, on_bytes)
        except OSError as error:
            raise OperatorError(f"{folder / name} cannot be read: {error.strerror}") from error
        if found != expected:
            raise OperatorError(
                f"{folder / name} is damaged: it has {found.bytes} bytes of {expected.bytes}, or "
                "others than were written; use another backup"
            )


def fingerprints(secrets: Mapping[str, str]) -> dict[str, str]:
    """Of the secrets that what is stored hangs on, of those that are known."""
    return {name: _fingerprint(name, secrets[name]) for name in _MARKED if secrets.get(name)}


def _fingerprint(name: str, secret: str) -> str:
    return hmac.digest(secret.encode(), f"kuji backup {name}".encode(), "sha256").hex()[:16]
