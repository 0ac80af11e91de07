"""Secrets and keys: that they are there, fit together, and open what is stored."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, unknown, warning, well, wrong
from ops.doctor.web import NoPageError, fetch
from services.auth.for_operators import KeyCipher, KeyStore, KeyUnreadableError
from services.common.postgres import load_queries
from services.pool.seeds import SeedCipher
from stack.home import STORES_SECRET

_queries: Any = load_queries(__file__)
_HEX_KEYS = ("KUJI_TOKEN_KEY_SECRET", "KUJI_SEED_KEY", "KUJI_CODE_KEY")
_OLD = timedelta(days=180)
_PUBLISHED_AFTER = timedelta(minutes=5)  # Envoy's cache of the key set
_SECRETS = "docs/operations.md#secrets"
_LEAKED = runbook("a-signing-key-has-leaked")


async def secrets(patient: Patient) -> list[Symptom]:
    """The secrets that are known here have their form, and no two are the same."""
    if not patient.secrets:
        return [unknown("no secrets are known here (KUJI_TOKEN_KEY_SECRET, KUJI_SEED_KEY, …)")]
    found = [
        wrong(
            f"{name} is not 64 hexadecimal digits",
            "the service that needs it does not start",
            f"put the right one back from your copy; {_SECRETS}",
        )
        for name in _HEX_KEYS
        if name in patient.secrets and _key(patient, name) is None
    ]
    names = (*_HEX_KEYS, "KUJI_SERVICE_SECRET", STORES_SECRET)
    known = [name for name in names if name in patient.secrets]
    for place, name in enumerate(known):
        for other in known[:place]:
            if patient.secrets[name] == patient.secrets[other]:
                why = "who learns one of them has the other"
                found.append(warning(f"{other} and {name} are the same", why, _SECRETS))
    return found or [well(f"{len(known)} secrets, each another")]


def _key(patient: Patient, name: str) -> bytes | None:
    try:
        key = bytes.fromhex(patient.secrets.get(name, ""))
    except ValueError:
        return None
    return key if len(key) == 32 else None


async def signing(patient: Patient) -> list[Symptom]:
    """There is a key that signs access tokens, it opens, and is not old."""
    assert patient.postgres is not None
    rows = await KeyStore(patient.postgres).list()
    if not rows:
        why = "nobody can log in"
        return [wrong("there is no signing key", why, "start auth: it makes one")]
    secret = _key(patient, "KUJI_TOKEN_KEY_SECRET")
    if secret is not None:
        try:
            for row in rows:
                KeyCipher(secret).open(row.kid, row.private_key)
        except KeyUnreadableError as error:
            why = "auth does not start, and nobody can log in"
            step = f"put the right KUJI_TOKEN_KEY_SECRET back, or make new keys: {_LEAKED}"
            return [wrong(str(error), why, step)]
    age = datetime.now(UTC) - rows[-1].created_at
    told = f"{len(rows)} signing keys" if len(rows) > 1 else "a signing key"
    if age > _OLD:
        why = "the longer a key is used, the more a leak that nobody has noticed gives away"
        return [warning(f"the newest signing key is {age.days} days old", why, "kuji keys rotate")]
    opened = "" if secret is not None else "; KUJI_TOKEN_KEY_SECRET is not known here"
    return [well(f"{told}, the newest {age.days} days old{opened}")]


async def published(patient: Patient) -> list[Symptom]:
    """The edge publishes the keys that are stored."""
    assert patient.postgres is not None
    if not patient.edge_url:
        return []
    try:
        page = await fetch(f"{patient.edge_url}/.well-known/jwks.json")
        shown = {key["kid"] for key in json.loads(page.text)["keys"]}
    except (NoPageError, ValueError, LookupError) as error:
        return [unknown(f"the edge does not say which keys there are: {error}")]
    now = datetime.now(UTC)
    missing = [
        row.kid
        for row in await KeyStore(patient.postgres).list()
        if row.kid not in shown and now - row.created_at > _PUBLISHED_AFTER
    ]
    if missing:
        return [
            wrong(
                f"the edge does not publish the signing key {missing[0]}",
                "tokens that it signs get 401",
                f"look at the log of auth; {runbook('first-look')}",
            )
        ]
    return [well("the edge publishes the signing keys")]


async def seeds(patient: Patient) -> list[Symptom]:
    """The seeds in the database open with KUJI_SEED_KEY, and are what was committed to."""
    if _key(patient, "KUJI_SEED_KEY") is None:
        return [unknown("KUJI_SEED_KEY is not known here")]
    cipher, rows = SeedCipher(patient.secrets["KUJI_SEED_KEY"]), 0
    shut: list[int] = []
    async for pool_id, commitment, stored in _queries.sealed_seeds(patient.postgres):
        rows += 1
        try:
            if hashlib.sha256(cipher.decrypt(pool_id, stored)).digest() == commitment:
                continue
        except InvalidTag:
            pass
        shut.append(pool_id)
    if shut:
        return [
            wrong(
                f"KUJI_SEED_KEY does not open the seed of pool {shut[0]}, nor {len(shut) - 1} more"
                if len(shut) > 1
                else f"KUJI_SEED_KEY does not open the seed of pool {shut[0]}",
                "nothing can be drawn from it, and its draws can never be checked",
                f"put the key back that the pool was made with, from your copy; {_SECRETS}",
            )
        ]
    return [well(f"{rows} seeds of pools that may draw open")]
