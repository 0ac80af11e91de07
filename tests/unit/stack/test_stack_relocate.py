"""A checkout that was moved, and what make does of an old one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.processes import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")

_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """One that was made in /old/place: a .venv as pip leaves it, in small."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("gen", "stack", "pyproject.toml", "setup.py", *LOCKS):
        (tmp_path / name).symlink_to(ROOT / name)
    files = {
        "bin/activate": '# activate\nVIRTUAL_ENV="/old/place/.venv"\nexport VIRTUAL_ENV\n',
        "bin/kuji": "#!/old/place/.venv/bin/python\nimport ops\n",
        "bin/other": "#!/old/placemat/.venv/bin/python\n",
        "lib/python3.11/site-packages/__editable___kuji_finder.py": "'/old/place/services'",
        ".installed": "",
    }
    for name, content in files.items():
        file = tmp_path / ".venv" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp_path / ".venv/bin/kuji").chmod(0o755)
    (tmp_path / ".venv/bin/program").write_bytes(b"\x7fELF\0/old/place/")
    return tmp_path


def _make(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """As typed by hand, also where these tests were started by make."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    command = ["make", *arguments]
    return subprocess.run(
        command, check=False, cwd=checkout, env=environment, capture_output=True, text=True
    )


def test_moved_checkout_is_at_home_where_it_is_now(checkout: Path) -> None:
    """Programs of .venv run, and import what is here; it is said once, and programs stay."""
    first, second = _make(checkout, "moved"), _make(checkout, "moved")
    venv = checkout / ".venv"
    assert f"#!{venv}/bin/python\nimport ops\n" == (venv / "bin/kuji").read_text()
    assert 0o755 == (venv / "bin/kuji").stat().st_mode & 0o777
    finder = next(venv.glob("lib/python3.11/site-packages/__editable__*"))
    assert f"'{checkout}/services'" == finder.read_text()
    assert "#!/old/placemat/.venv/bin/python\n" == (venv / "bin/other").read_text()
    assert b"\x7fELF\0/old/place/" == (venv / "bin/program").read_bytes()
    assert ("This folder was /old/place before", "") == (
        first.stdout.partition(":")[0],
        second.stdout,
    )


@pytest.mark.parametrize("target", ["status", "down"])
def test_nothing_is_installed_to_look_or_to_stop(checkout: Path, target: str) -> None:
    """After a pull, what runs is still looked at and stopped by what is there."""
    planned = _make(checkout, "-n", "-W", "requirements.lock", target)
    assert (0, False) == (planned.returncode, "pip" in planned.stdout), planned.stderr
    assert "pip" in _make(checkout, "-n", "-W", "requirements.lock", "up").stdout
    refused = _make(checkout, target)  # this .venv has no Python
    assert "Nothing is installed here: run make setup" in refused.stdout
