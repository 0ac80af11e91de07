"""A stack that cannot start says why in one sentence, leaves with code 1, and leaves nothing."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.home import SECRET_NAMES, Home
from tests.support.stacks import StackUnderTest, stack_home


@pytest.fixture
def stack() -> Iterator[StackUnderTest]:
    """A stack that was never started."""
    with stack_home() as home:
        yield StackUnderTest(home)


def _refusal(stack: StackUnderTest, command: str = "run") -> str:
    """The sentence with which *command* fails, and what follows it."""
    done = stack.command(command)
    assert 1 == done.returncode, done.stdout
    return done.stdout.partition("✗ ")[2]


@pytest.mark.parametrize("command", ["run", "up"])
def test_start_is_refused_when_the_port_is_taken(stack: StackUnderTest, command: str) -> None:
    """The sentence names the port and how to choose another; nothing was started."""
    with socket.create_server(("127.0.0.1", stack.edge_port)):
        sentence = _refusal(stack, command)
    assert f"Port {stack.edge_port} is taken; set KUJI_EDGE_PORT to a free one\n" == sentence
    assert not (stack.home / "data").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"KUJI_EDGE_HOST": "192.0.2.7"},
            "192.0.2.7 is no address of this machine; set KUJI_EDGE_",
        ),
        (
            {"KUJI_EDGE_HOST": "no such.host"},
            "KUJI_EDGE_HOST is no address and no known name: no s",
        ),
        (
            {"KUJI_PORTS": "draws=31000"},
            "KUJI_PORTS names draws, which is no part; there are admin",
        ),
        ({"KUJI_HOME": "/proc/nowhere"}, "/proc/nowhere: "),
        ({"KUJI_HOME": "/dev/null"}, "/dev/null: "),
    ],
)
def test_start_is_refused_in_one_sentence(
    stack: StackUnderTest, variables: dict[str, str], sentence: str
) -> None:
    """What the operator told cannot be; it says what, and there is no traceback."""
    stack.environment.update(variables)
    refusal = _refusal(stack)
    assert (True, 1) == (refusal.startswith(sentence), len(refusal.splitlines())), refusal


def test_start_is_refused_when_a_wanted_port_is_taken(stack: StackUnderTest) -> None:
    """One that the operator chose is not replaced by another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.environment["KUJI_PORTS"] = f"auth={port}"
        sentence = _refusal(stack)
    assert f"Port {port}, which KUJI_PORTS names for auth, is taken\n" == sentence


def test_start_is_refused_when_the_folder_is_owned(stack: StackUnderTest) -> None:
    """One KUJI_HOME, one stack."""
    with Home(stack.home).locked():
        sentence = _refusal(stack)
    assert sentence.startswith(f"A stack runs in {stack.home} already (process ")


def test_start_is_refused_when_a_secret_is_missing(stack: StackUnderTest) -> None:
    """A secret is never made up again: data may depend on it."""
    secrets = dict.fromkeys(SECRET_NAMES - {"KUJI_SEED_KEY"}, "0" * 64)
    file = stack.home / "secrets.json"
    file.write_text(json.dumps(secrets))
    assert f"The secret KUJI_SEED_KEY is missing in {file}\n" == _refusal(stack)


def test_folder_from_before_the_code_key_gets_one_and_keeps_it(tmp_path: Path) -> None:
    """No data depends on that key, so an upgrade may make it; all other secrets stay."""
    home = Home(tmp_path)
    before = dict.fromkeys(SECRET_NAMES - {"KUJI_CODE_KEY"}, "0" * 64)
    home.secrets_file.write_text(json.dumps(before))
    first = home.secrets()
    assert before == {name: first[name] for name in before}
    assert re.fullmatch("[0-9a-f]{64}", first["KUJI_CODE_KEY"])
    assert first == home.secrets() == json.loads(home.secrets_file.read_text())


def test_start_is_refused_when_the_secrets_of_data_are_gone(stack: StackUnderTest) -> None:
    """Data without its secrets is not started over with new ones."""
    (stack.home / "data" / "postgres").mkdir(parents=True)
    sentence = _refusal(stack)
    assert sentence.startswith(f"{stack.home / 'secrets.json'} is gone")


def test_start_fails_by_name_when_a_part_crashes(stack: StackUnderTest) -> None:
    """The sentence names the part, its log, and the part's own sentence; nothing is left."""
    stack.environment["KUJI_SEED_KEY"] = "no hex"
    sentence = _refusal(stack, "up")
    assert sentence.startswith("draw ended at start with code 2; see ")
    assert str(stack.home / "logs" / "draw.log") in sentence
    assert "KUJI_SEED_KEY is unfit" in sentence
    assert "no hex" not in sentence
    assert None is Home(stack.home).owner()


@pytest.mark.parametrize(
    ("name", "url", "store"),
    [
        ("KUJI_REDIS_URL", "redis://127.0.0.1:1/0", "Redis"),
        ("KUJI_POSTGRES_DSN", "postgresql://kuji:hidden@127.0.0.1:1/kuji", "Postgres"),
    ],
)
def test_start_fails_when_a_given_store_does_not_answer(
    stack: StackUnderTest, name: str, url: str, store: str
) -> None:
    """The sentence names the variable and keeps its password to itself."""
    stack.environment[name] = url
    assert f"The {store} that {name} names does not answer\n" == _refusal(stack)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KUJI_EDGE_PORT", "http"),
        ("KUJI_PORTS", "draw"),
        ("KUJI_PORTS", "draw=70000"),
        ("KUJI_REDIS_URL", "127.0.0.1:6379/hidden"),
        ("KUJI_POSTGRES_DSN", "kuji:hidden@127.0.0.1/kuji"),
    ],
)
def test_setting_is_refused_by_name_when_unfit(
    stack: StackUnderTest, name: str, value: str
) -> None:
    """What is no port, or no address, is told by its variable; passwords are kept to ourselves."""
    stack.environment[name] = value
    done = stack.command("run")
    assert (2, True) == (done.returncode, f"{name} is unfit" in done.stdout)
    assert (1, False) == (len(done.stdout.splitlines()), "hidden" in done.stdout)


def test_commands_work_on_a_terminal_that_knows_ascii_alone(stack: StackUnderTest) -> None:
    """Other signs are shown in their place."""
    stack.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    stack.environment["KUJI_EDGE_HOST"] = "no such host"
    done = stack.command("run")
    assert (1, True) == (done.returncode, "\n? KUJI_EDGE_HOST is no address" in done.stdout)


def test_down_and_status_say_so_when_nothing_runs(stack: StackUnderTest) -> None:
    """Stopping what does not run is no failure; its status is no success."""
    sentence = f"No stack runs in {stack.home}\n"
    results = [stack.command(command) for command in ("down", "status")]
    assert [(0, sentence), (1, sentence)] == [(r.returncode, r.stdout) for r in results]
