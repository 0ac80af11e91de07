"""Virtual environments that hold what a wheel asks for, and nothing else; no index is needed."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def make_environment(folder: Path, requirements: Iterable[str]) -> Path:
    """
    A new environment with the distributions that *requirements* lead to; its Python.

    They are links to those that this test runs on: what is declared is what can be imported, and
    it is the very versions of the lock file.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    for known in _closure(requirements):
        _link(known, folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages")
    return python


def install(python: Path, *what: str | Path) -> None:
    """Let pip install *what* there, asking no index: what is missing fails."""
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-cache-dir"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, *what]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    subprocess.run(command, check=True, env=environment)


def _closure(requirements: Iterable[str]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(each), "") for each in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, extra = waiting.pop()
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        at = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if not applies or at in seen:
            continue
        seen.add(at)
        known = found.setdefault(at[0], distribution(wanted.name))
        for text in known.requires or ():
            waiting += [(Requirement(text), each) for each in ("", *wanted.extras)]
    return list(found.values())


def _link(known: Distribution, site: Path) -> None:
    for file in known.files or ():
        source = Path(str(known.locate_file(file)))
        if ".." not in file.parts and source.exists():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:  # another disk
                shutil.copy2(source, target)
