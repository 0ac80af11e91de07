"""Files of a stack on this machine: who may read them, room on the disk, and Valkey's log."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, unknown, warning, well, wrong
from stack import aof
from stack.processes import StackError

_LOW_SHARE, _LOW_BYTES = 0.1, 2 << 30
_FULL_BYTES = 256 << 20
_PRIVATE = ("secrets.json", "endpoints.json", "keys.json", "valkey.acl")


async def modes(patient: Patient) -> list[Symptom]:
    """What holds secrets is its owner's alone."""
    if not patient.home.folder.exists():
        return []
    files = [patient.home.folder / name for name in _PRIVATE]
    keys = [Path(text) for name in _KEY_FILES if (text := patient.environment.get(name))]
    found = [
        wrong(
            f"{file} may be read by others (mode {_mode(file):04o})",
            "it holds what lets its reader log in, draw for others, or read seeds",
            f"chmod 600 {file}; who may have read it? {runbook('a-signing-key-has-leaked')}",
        )
        for file in [*files[:2], *keys]
        if file.exists() and _mode(file) & 0o077 and not _is_shut_in(file, patient.home.folder)
    ]
    if patient.home.data("").exists() and not patient.home.secrets_file.exists():
        found.append(
            wrong(
                f"{patient.home.secrets_file} is gone",
                "without it, seeds and signing keys cannot be read, and the stack does not start",
                runbook("the-stack-does-not-start-or-stops"),
            )
        )
    return found or [well("files that hold secrets are their owner's alone")]


_KEY_FILES = ("KUJI_TLS_KEY_FILE", "KUJI_EDGE_TLS_KEY_FILE")


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _is_shut_in(file: Path, home: Path) -> bool:
    """Whether nobody else gets to *file*, whatever its own mode."""
    return file.parent == home and not _mode(home) & 0o077 and file.name != "secrets.json"


async def disk(patient: Patient) -> list[Symptom]:
    """There is room where the stack, or the draw processes of this machine, keep their data."""
    named = patient.environment.get("KUJI_MARKS_FOLDER")
    folders = [patient.home.folder, *([Path(named)] if named else [])]
    disks = {folder.stat().st_dev: folder for folder in reversed(folders) if folder.exists()}
    return [judge_disk(folder, *shutil.disk_usage(folder)) for folder in disks.values()]


def judge_disk(folder: Path, total: int, _used: int, free: int) -> Symptom:
    """The same, of bytes."""
    sentence = f"{free / 2**30:,.1f} of {total / 2**30:,.1f} GiB are free in {folder}"
    step = f"make room; logs and old copies first ({folder / 'logs'})"
    if free < _FULL_BYTES:
        why = "on a full disk, draws and records wait until there is room"
        return wrong(sentence, why, step)
    if free < min(_LOW_BYTES, total * _LOW_SHARE):
        return warning(sentence, "on a full disk, draws and records wait", step)
    return well(sentence)


async def store_log(patient: Patient) -> list[Symptom]:
    """Valkey's append-only file is whole to its end."""
    folder = patient.home.data("valkey")
    if not folder.exists():
        return []
    try:
        torn = await asyncio.to_thread(aof.torn_bytes, folder)
    except StackError as error:
        return [
            wrong(
                str(error),
                "Valkey does not start again from it",
                "copy the folder before anything else; "
                + runbook("the-stack-does-not-start-or-stops"),
            )
        ]
    except OSError as error:
        return [unknown(f"{error.filename} cannot be read: {os.strerror(error.errno or 0)}")]
    if torn:
        return [
            warning(
                f"the last {torn} bytes of Valkey's append-only file are torn, as by a power loss",
                "they are of commands that were never answered; the next start cuts them off",
                "start the stack; nothing that was answered is lost",
            )
        ]
    return [well("Valkey's append-only file is whole to its end")]
