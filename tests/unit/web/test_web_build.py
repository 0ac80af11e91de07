"""What is built of web/, and its own tests: by Node, where it is at hand."""

import filecmp
import gzip
import re
from pathlib import Path

from stack.edge.pages import BUILT
from tests.support.web_tools import WEB, run_tool

FIRST_LOAD_BYTES = 200_000


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_committed_pages_are_what_a_rebuild_gives(tmp_path: Path) -> None:
    """Byte by byte; otherwise `make web`, and commit what it makes."""
    run_tool("vite/bin/vite.js", "build", "--logLevel", "warn", "--outDir", str(tmp_path / "dist"))
    rebuilt = tmp_path / "dist"
    assert _files(BUILT) == _files(rebuilt)
    same, different, failed = filecmp.cmpfiles(BUILT, rebuilt, _files(BUILT), shallow=False)
    assert ([], [], len(_files(BUILT))) == (different, failed, len(same))


def test_pages_own_tests_pass() -> None:
    """The client, the clock, the catalogues, the puzzle."""
    assert "passed" in run_tool("vitest/vitest.mjs", "run", "--no-color")


def test_first_load_of_a_player_is_small() -> None:
    """The document, all that it names, and the largest language: as they come over the wire."""
    document = (BUILT / "index.html").read_text("utf-8")
    named = re.findall(r'(?:src|href)="/([^"]+)"', document)
    assert len(named) > 3
    languages = sorted((BUILT / "assets").glob("ja-*.js"))
    home = [*(BUILT / "assets").glob("HomePage-*"), *(BUILT / "assets").glob("ActivityPage-*")]
    loaded = [BUILT / "index.html", *(BUILT / name for name in named), *languages, *home]
    assert sum(len(gzip.compress(file.read_bytes())) for file in loaded) < FIRST_LOAD_BYTES


def test_lock_file_names_no_registry() -> None:
    """Packages come from wherever the machine's npm is told to fetch them, and hold to a hash."""
    lock = (WEB / "package-lock.json").read_text("utf-8")
    assert (0, True) == (lock.count('"resolved"'), lock.count('"integrity"') > 50)
