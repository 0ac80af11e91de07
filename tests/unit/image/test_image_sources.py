"""The image's sources agree with the rest: the lock files, the versions, the parts."""

import re
import tomllib
from pathlib import Path

from image.build import ROOT
from image.tools import PACKAGES
from services import __main__ as entrypoint
from stack.parts import MODULES

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z][\w.-]*)==([^\s;]+)", text, re.MULTILINE))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s><=;\[]", text)[0].lower() for text in requirements}


def test_image_runs_what_the_lock_file_pins() -> None:
    """The image's lock is that of a checkout, less the embedded servers and what they need."""
    image, checkout = _pins("requirements-image.lock"), _pins("requirements.lock")
    assert image == {name: checkout.get(name) for name in image}
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        re.split(r"[\s><=;\[]", text)[0].lower() for text in about["tool"]["kuji"]["dependencies"]
    }
    assert set() == wanted - image.keys()
    embedded = about["project"]["optional-dependencies"]["embedded"]
    assert set() == {re.split(r"[><=]", text)[0] for text in embedded} & image.keys()


def test_image_lock_has_hashes_and_no_address() -> None:
    """Each distribution is pinned with its hashes; none says where it is from."""
    text = (ROOT / "requirements-image.lock").read_text()
    blocks = re.split(r"\n(?=[a-z])", text.strip())
    assert len(blocks) == len(_pins("requirements-image.lock"))
    assert [] == [block for block in blocks if "--hash=sha256:" not in block]
    assert "://" not in text


def test_dockerfile_has_the_python_that_the_lock_is_for() -> None:
    """One version of Python in the base image, the lock file and the wheels that are fetched."""
    makefile = (ROOT / "Makefile").read_text()
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (base,) = re.findall(r"^ARG BASE=python:([\d.]+)-", DOCKERFILE, re.MULTILINE)
    assert {base} == set(re.findall(r"--python-version ([\d.]+)", makefile))
    assert f">={base}" == about["project"]["requires-python"]


def test_entrypoint_knows_the_parts() -> None:
    """An argument that names a part runs it, and anything else is a command."""
    assert tuple(MODULES) == entrypoint.PARTS
    assert [None] * 5 == [entrypoint.command_of([part]) for part in entrypoint.PARTS]
    asked = entrypoint.command_of(["migrate"])
    assert asked is not None
    assert ["-m", "ops.cli", "migrate"] == asked[1:]
    assert entrypoint.command_of([]) is not None
    assert entrypoint.command_of(["auth", "--help"]) is not None
    modules = [Path(ROOT, "services", part, "__main__.py") for part in entrypoint.PARTS]
    assert [] == [module for module in modules if not module.is_file()]


def test_dockerfile_is_closed() -> None:
    """Every stage is on BASE, nothing is fetched, and it does not run as root."""
    assert 2 == len(re.findall(r"^FROM \$\{BASE\}", DOCKERFILE, re.MULTILINE))
    assert 2 == len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE))
    assert "USER 1000:1000" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert "--no-index" in DOCKERFILE
    assert [] == re.findall(r"https?://|apt-get|curl|wget|^ADD ", DOCKERFILE, re.MULTILINE)


def test_context_is_what_the_build_needs() -> None:
    """What a build is sent is named; the rest of a checkout stays where it is."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert ["*", "!requirements-image.lock", "!dist/image/*.whl"] == rules


def test_make_installs_the_tools_that_a_build_needs() -> None:
    """`make image-tools` installs each program that is looked for."""
    recipe = (ROOT / "Makefile").read_text().partition("\nimage-tools:")[2].partition("\n\n")[0]
    assert set(PACKAGES) <= set(recipe.split())
