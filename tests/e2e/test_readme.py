"""The documents hold: the README's commands are typed, its answers compared, names looked up."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic_settings import BaseSettings

from ops.connections import OpsSettings
from services.admin.settings import AdminSettings
from services.auth.settings import AuthSettings
from services.draw.settings import DrawSettings
from services.history.settings import HistorySettings
from services.pool.books.findings import Kind
from services.recorder.settings import RecorderSettings
from stack.edge.settings import ContainerEdgeSettings
from stack.home import STORES_SECRET
from stack.processes import ROOT
from stack.settings import StackSettings
from tests.support.stacks import StackUnderTest

README = (ROOT / "README.md").read_text("utf-8")
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS: tuple[type[BaseSettings], ...] = (
    AdminSettings,
    AuthSettings,
    ContainerEdgeSettings,
    DrawSettings,
    HistorySettings,
    OpsSettings,
    RecorderSettings,
    StackSettings,
)

_STEP = re.compile(
    r"^```sh\n(.*?)\n```\n(?:```(?:json|text)\n(.*?)\n```\n)?", re.DOTALL | re.MULTILINE
)
_TIMEOUT_S = 180  # of a command that hangs; a simulation gives way to all others
_RECORDED_S = 60  # until a draw is on every list, and a seed revealed

# What is another value in every run; a dot: inside that object or list alone.
_OF_ITEMS = ("title", "price", "sc_money")
_VARIES = {
    *("access_token", "refresh_token", "user_id", "activity_id", "pool_id", "prize_id", "draw_id"),
    *("etag", "odds_check.interval_low", "odds_check.interval_high", "odds_check.verdict"),
    *("created_at", "updated_at", "start_time", "drawn_at", "won_at", "pool_version"),
    *("expires_at", "not_before"),
    *("ledger_link", "seed", "seed_commitment", "roll", "ticket", "explanation", "roll_text"),
    *("odds", "odds_weight", "recorder_lag_ms", "prize_name", "prize.name", "prize.prize_code"),
    *("prizes.won", "prizes.remaining", "prizes.remaining_count", "prizes.observed_probability"),
    *("goods_id", "shang_id", "goods_item_id", "order_id", "item_card_ids", "id", "prize_code"),
    *("luck_no", "draw_time", "addtime", "data.reason", "goodslist_title", "goodslist_price"),
    *("p5", "p50", "p95", "chance_left"),
    *("goodslist_money", *(f"{of}.{name}" for of in ("results", "data") for name in _OF_ITEMS)),
}
_VARIES_IN_TEXT = [
    (r"Bicycle|Umbrella|Mug|Sticker", "PRIZE"),
    (r"\d+(\.\d+)?", "0"),
    (r"\bpools?\b", "pools"),
]


class Step(NamedTuple):
    """What is typed, and what the README shows as its answer; "": nothing in particular."""

    command: str
    shown: str


def _steps() -> list[Step]:
    steps = [Step(command, shown) for command, shown in _STEP.findall(README)]
    return [step for step in steps if not step.command.startswith("make ")]


class Shell:
    """One bash, in which the commands are typed one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def type(self, command: str) -> str:
        """What *command* prints on stdout."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\nprintf '\\n\\1\\n'\n".encode())
        async with asyncio.timeout(_TIMEOUT_S):
            printed = await self._process.stdout.readuntil(b"\n\1\n")
        return printed.decode().removesuffix("\n\1\n").strip("\n")


@pytest.fixture
async def shell(stack: StackUnderTest, tmp_path: Path) -> AsyncIterator[Shell]:
    """A shell as a reader has it beside the running stack: .venv is there, and draw.py."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "draw.py").write_text(_block("python"), "utf-8")
    own = {"KUJI_HOME": str(stack.home), "KUJI_EDGE_PORT": str(stack.edge_port), "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("KUJI_")} | own,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Shell(process)
    if process.returncode is None:
        process.kill()
    await process.wait()


def _block(language: str) -> str:
    """The README's only block in *language*."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return str(block)


def _masked(value: Any, name: str = "", place: str = "") -> Any:
    """*value* of the field *name* in *place*, with what varies replaced by its type."""
    if value is not None and (name in _VARIES or f"{place}.{name}" in _VARIES):
        return "a number" if isinstance(value, int | float) else "a text"
    if isinstance(value, dict):
        return {key: _masked(item, key, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, place=place, name=name) for item in value]
    return value


def _comparable(text: str, home: Path) -> Any:
    if text.startswith("{"):
        return _masked(json.loads(text))
    text = text.replace(str(home), ".run")
    for pattern, instead in _VARIES_IN_TEXT:
        text = re.sub(pattern, instead, text)
    return text


def _only_reads(command: str) -> bool:
    return command.startswith("curl") and not re.search(r" -(d|X) ", command)


async def _answer(shell: Shell, step: Step, home: Path) -> Any:
    """The answer to *step*; what only reads is asked until it has come that far."""
    expected, deadline = _comparable(step.shown, home), time.monotonic() + _RECORDED_S
    while True:
        answer = _comparable(await shell.type(step.command), home)
        if answer == expected or not _only_reads(step.command) or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.1)  # lists may be a second old


async def test_readme_shows_what_its_commands_answer(shell: Shell, stack: StackUnderTest) -> None:
    """Typed one by one, every command of the README gives the answer beside it."""
    steps = _steps()
    assert 30 < len(steps)
    for step in steps:
        if step.shown:
            answer = await _answer(shell, step, stack.home)
            assert (step.command, _comparable(step.shown, stack.home)) == (step.command, answer)
        else:
            printed = await shell.type(step.command)
            assert (step.command, True) == (step.command, printed[:11] in ("", '{"status":1'))


def test_documents_name_make_targets_that_exist() -> None:
    """Nobody is told to make what the Makefile does not."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert set() == named - targets
    assert {"run", "demo", "test"} <= named


def _links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
            yield page, target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_documents_link_to_what_exists() -> None:
    """Every relative link leads to a file, and its anchor to a heading."""
    dead = []
    for page, target in _links():
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            dead.append(f"{page.name}: {target}")
    assert [] == dead


def test_documents_name_variables_that_exist() -> None:
    """Every KUJI_… variable in the documents is one that some process reads, or compose.yaml."""
    read = {f"KUJI_{name.upper()}" for kind in SETTINGS for name in kind.model_fields}
    read |= set(re.findall(r"\$\{(KUJI_\w+)", (ROOT / "compose.yaml").read_text("utf-8")))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\bKUJI_[A-Z_0-9]+\b", page.read_text("utf-8"))
    }
    assert set() == named - read - {"KUJI_REDIS_SERVER", STORES_SECRET}  # the stack's own


def test_runbook_explains_every_metric() -> None:
    """A metric that the services have is in the runbook."""
    sources = [path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py")]
    metrics = re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"(kuji_\w+)"', "\n".join(sources))
    assert 10 < len(metrics)
    assert [] == [name for name in metrics if name not in RUNBOOK]


def test_runbook_explains_every_finding() -> None:
    """Whatever kind of thing an audit can find is in the runbook."""
    assert [] == [kind for kind in Kind if f"`{kind}`" not in RUNBOOK]
