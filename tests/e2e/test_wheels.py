"""The two wheels, and the folder itself, in environments that hold nothing else."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from zipfile import ZipFile

import grpc
import pytest

from stack.edge.config import SOURCES
from stack.edge.pages import BUILT
from stack.ports import free_port
from stack.processes import ROOT
from tests.support.environments import install, make_environment

PACKAGES = ("services", "stack", "ops", "demo")
CLIENT = Path(__file__).with_name("wheel_client.py")
NOT_OURS = shutil.ignore_patterns(
    ".*", "*.egg-info", "__pycache__", "build", "node_modules", "docs", "tests"
)
_TIMEOUT_S = 240


@pytest.fixture(name="wheels", scope="module")
def _wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `make wheels` builds: kuji, kuji-platform."""
    folder = tmp_path_factory.mktemp("dist")
    command = ["make", "-o", ".venv/.installed", "wheels", f"DIST={folder}"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return sorted(folder.glob("*.whl"))


def _requirements(wheel: Path, extra: str = "") -> list[str]:
    """What *wheel* needs, with *extra*."""
    with ZipFile(wheel) as content:
        (about,) = [name for name in content.namelist() if name.endswith("/METADATA")]
        lines = content.read(about).decode().splitlines()
    needed = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    return [
        text.partition(";")[0] if "extra ==" in text else text
        for text in needed
        if "extra ==" not in text or f'extra == "{extra}"' in text
    ]


def _content(wheel: Path) -> set[str]:
    with ZipFile(wheel) as content:
        return {name for name in content.namelist() if ".dist-info/" not in name}


def _files(folder: Path, prefix: str) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {f"{prefix}/{file}" for file in files if "__pycache__" not in file.parts}


def _not_ours(folder: str, names: list[str]) -> set[str]:
    built = {"dist"} if Path(folder) == ROOT else set()  # what is built of the pages is committed
    return NOT_OURS(folder, names) | built


def test_wheels_hold_every_file_of_their_packages(wheels: list[Path]) -> None:
    """SQL, Lua, Envoy's files, pages and types are inside, and nothing that is no part of them."""
    stubs, platform = wheels
    assert _files(ROOT / "gen" / "kuji", "kuji") == _content(stubs)
    edge = _files(SOURCES, "stack/edge/envoy") | _files(BUILT, "stack/edge/web")
    assert edge.union(*(_files(ROOT / name, name) for name in PACKAGES)) == _content(platform)


def test_stubs_ask_for_what_they_were_generated_with(wheels: list[Path]) -> None:
    """Three dependencies, not older than the generated code allows; the platform asks for these."""
    stubs, platform = wheels
    text = (ROOT / "gen/kuji/draw/v1/draw_pb2_grpc.py").read_text()
    assert f"GRPC_GENERATED_VERSION = '{grpc.__version__}'" in text
    (protobuf,) = [line for line in _requirements(stubs) if line.startswith("protobuf")]
    code = (ROOT / "gen/kuji/draw/v1/draw_pb2.py").read_text()
    generated = code.partition("Protobuf Python Version: ")[2].split()[0]
    assert f"protobuf>={generated}" == protobuf
    assert f"grpcio>={grpc.__version__}" in _requirements(stubs)
    assert 3 == len(_requirements(stubs))
    assert f"kuji=={stubs.name.split('-')[1]}" in _requirements(platform)


@pytest.fixture(name="python")
def _python(wheels: list[Path], tmp_path: Path) -> Path:
    """The Python of an environment with the wheels and their dependencies alone."""
    stubs, platform = wheels
    needed = [*_requirements(stubs), *_requirements(platform, "embedded")]
    others = [each for each in needed if not each.startswith("kuji")]
    python = make_environment(tmp_path / "env", others)
    install(python, *wheels)
    return python


@pytest.fixture(name="home")
def _home(python: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of a stack that runs from the wheels, far from the checkout."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if "KUJI" not in k and "PYTHON" not in k}
    environment |= {"KUJI_HOME": str(home), "KUJI_EDGE_PORT": str(free_port())}

    def kuji(name: str) -> str:
        command = [str(python.with_name("kuji")), name]
        return subprocess.run(
            command, check=True, cwd=home, env=environment, timeout=_TIMEOUT_S, stdout=PIPE
        ).stdout.decode()

    try:
        kuji("up")
        yield home
        assert "the books balance" in kuji("reconcile")
    finally:
        kuji("down")


def test_wheels_draw_in_an_empty_environment(python: Path, home: Path) -> None:
    """Whoever has the two wheels starts a stack, registers and draws, with stubs and with JSON."""
    drawn = subprocess.run(
        [str(python), "-I", str(CLIENT), str(home)],
        check=True,
        capture_output=True,
        text=True,
        cwd=home,
    )
    assert ["first Mug", "second nothing", "first Mug"] == drawn.stdout.splitlines()


def test_folder_installs_as_the_wheels_do(wheels: list[Path], tmp_path: Path) -> None:
    """`pip install .` has all of it, the stubs beside it included, whatever an index says."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, ignore=_not_ours)
    others = [each for each in _requirements(wheels[1]) if not each.startswith("kuji")]
    python = make_environment(tmp_path / "env", [*others, "setuptools"])
    install(python, checkout)
    (site,) = (tmp_path / "env").glob("lib/python3*/site-packages")
    expected = _content(wheels[0]) | _content(wheels[1])
    assert set() == {name for name in expected if not (site / name).is_file()}
    version = [str(python.with_name("kuji")), "--version"]
    said = subprocess.run(version, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "kuji 0.1.0\n" == said.stdout
