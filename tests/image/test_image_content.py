"""What is in the image, and what is not."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from image.build import revision, size_of, version
from stack.processes import ROOT

pytestmark = pytest.mark.timeout(1000)  # the first of these builds it

_BOUND_BYTES = 250_000_000
_COMPILERS = re.compile(r"(.*-)?(gcc|g\+\+|cc|c\+\+|cpp|clang|ld|as|make|rustc|go)(-[\d.]+)?")
_READ_AT_MOST = 64 << 20


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(name="about", scope="module")
def _about(image: str) -> dict[str, Any]:
    """What podman says of the image."""
    done = subprocess.run(
        ["podman", "image", "inspect", image], check=True, capture_output=True, timeout=60
    )
    (about,) = json.loads(done.stdout)
    found: dict[str, Any] = about
    return found


def test_image_says_what_it_is(about: dict[str, Any]) -> None:
    """OCI labels name version and commit; it runs as 1000, and its argument is the part."""
    labels = {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in about["Labels"].items()
    }
    assert version() == labels["version"]
    assert revision() == labels["revision"]
    assert "Kuji" == labels["title"]
    assert "1000:1000" == about["User"]
    assert ["python", "-m", "services"] == about["Config"]["Entrypoint"]


def test_image_is_small(image: str) -> None:
    """What a node has to fetch stays below a bound; docs/containers.md says the size."""
    assert size_of(image) < _BOUND_BYTES


def test_image_holds_no_compiler(image_files: Path) -> None:
    """Nothing that builds programs, and no installer beside Kuji."""
    programs = [
        path.name
        for folder in ("usr/bin", "usr/sbin", "usr/local/bin", "opt/kuji/bin")
        for path in (image_files / folder).glob("*")
    ]
    assert "python3" in programs
    assert "kuji" in programs
    assert [] == [name for name in programs if _COMPILERS.fullmatch(name)]
    assert [] == [name for name in programs if re.fullmatch(r"pip[\d.]*|uv|apt(-get)?", name)]


def test_image_holds_no_source_of_itself(image_files: Path) -> None:
    """Neither the history nor the wheels that it was made of, nor anybody's secrets."""
    names = {path.name for path in image_files.rglob("*")}
    unwanted = {".git", ".env", "secrets.json", "requirements-image.lock", "direct_url.json"}
    assert set() == names & unwanted
    assert not (image_files / "build").exists()


def _hosts() -> set[bytes]:
    """Where this machine gets its packages from, and the folder that it was built in."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    own = [text for name, text in os.environ.items() if re.match("(?i)(pip|uv)_|.*_proxy", name)]
    texts = [pip.stdout, *own]
    addresses = re.findall(r"https?://[^\s'\"]+", "\n".join(texts))
    return {f"{urlsplit(address).netloc}".encode() for address in addresses} | {
        b"files.pythonhosted.org",
        b"//pypi.org/simple",
        str(ROOT).encode(),
    }


def test_image_names_no_index(image_files: Path) -> None:
    """No file of Kuji's environment says where a package came from, or where it was built."""
    hosts = _hosts()
    found = [
        (str(path), host)
        for path in _files(image_files / "opt/kuji")
        if path.stat().st_size <= _READ_AT_MOST
        for content in [path.read_bytes()]
        for host in hosts
        if host in content
    ]
    assert [] == found
    assert [] == list((image_files / "etc").rglob("pip.conf"))
    assert [] == list((image_files / "etc/apt").glob("sources.list*/*"))


def test_image_tells_no_secret_of_its_build(about: dict[str, Any]) -> None:
    """Its environment and its history hold no address and no credential of the builder."""
    told = json.dumps([about["Config"], about["History"]])
    assert [] == [host for host in _hosts() if host.decode() in told]
    assert [] == re.findall(r"(?i)(password|secret|token)[^\"]*=", told)


def test_image_holds_kuji_as_the_lock_file_says(image_files: Path) -> None:
    """Each distribution in it is pinned, and each pinned one is in it."""
    lock = (ROOT / "requirements-image.lock").read_text()
    pinned = dict(re.findall(r"^([a-z][\w.-]*)==([^\s;]+)", lock, re.MULTILINE))
    site = image_files / "opt/kuji/lib/python3.11/site-packages"
    found = {
        re.sub(r"[-_.]+", "-", one.name).lower(): one.version
        for one in distributions(path=[str(site)])
    }
    assert pinned | {"kuji": version(), "kuji-platform": version()} == found
