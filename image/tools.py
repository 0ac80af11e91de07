"""The programs that build and run images without a daemon, all of them packages of Debian."""

import os
import shutil
import subprocess
from collections.abc import Sequence

PACKAGES = ("buildah", "podman", "runc", "mmdebstrap")  # each holds the program of its name
_TIMEOUT_S = 600


class ImageError(Exception):
    """Why there is no image; the message is one clear sentence."""


def missing() -> list[str]:
    """Which of them are not here."""
    return [name for name in PACKAGES if shutil.which(name) is None]


def why_not() -> str | None:
    """Why images cannot be built here, in a sentence; None where they can."""
    if os.geteuid() != 0:
        return "Images are built here as root alone: buildah's chroot needs that"
    if absent := missing():
        return f"Images need {', '.join(absent)}, not installed here: run make image-tools"
    return None


def run(command: Sequence[str]) -> str:
    """
    What *command* prints.

    Raises:
        ImageError: It fails, or takes longer than ten minutes.
    """
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ImageError(f"{command[0]} has not come to its end in {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise ImageError(f"{' '.join(command[:2])} failed:\n{words}")
    return done.stdout
