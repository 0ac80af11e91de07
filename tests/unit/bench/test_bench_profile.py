"""Samples become subjects: what a stack or a symbol is counted as."""

import re
from pathlib import Path

import pytest

from tests.bench.profile import subjects
from tests.bench.profile.sampling import shares_of_stacks, shares_of_symbols

ROOT = Path(__file__).parents[3]
LOOP = "run_process (services/common/process.py:40);Runner.run (asyncio/runners.py:118)"


@pytest.mark.parametrize(
    ("stack", "subject"),
    [
        ("", "loop, transport"),
        (";Rpc.unary (services/common/server/rpc.py:75)", "loop, transport"),
        (";Rpc.unary (services/common/server/rpc.py:82);Rpc._parse_one (rpc.py:141)", "parsing"),
        (";Rpc.unary (services/common/server/rpc.py:80);Gate.admit (services/common/server/gate.py:67)", "admission"),  # noqa: E501
        (";Batcher._run (services/draw/batcher.py:176)", "batching"),
        (";Batcher._run (services/draw/batcher.py:176);wait_for (asyncio/tasks.py:4)", "batching"),
        (";Batcher._run (services/draw/batcher.py:1);Timer.__exit__ (prometheus_client/c.py:6)", "metrics"),  # noqa: E501
        (";Batcher._run (services/draw/batcher.py:1);Runs.call (services/pool/store/runs.py:7)", "script's client"),  # noqa: E501
        (";Redis.execute_command (redis/asyncio/client.py:9)", "script's client"),
        (";MarkFile.write (services/pool/marks/files.py:67)", "marks"),
        (";Roller.roll (services/pool/rule/fairness.py:51)", "roll"),
        (";DrawServicer.Draw (services/draw/lottery/servicer.py:60)", "draw and answer"),
        (";Connection.execute (asyncpg/connection.py:377)", "Postgres's client"),
    ],
)  # fmt: skip
def test_stack_is_counted_for_its_innermost_known_function(stack: str, subject: str) -> None:
    """What it calls of others' libraries is its own; the loop of events is the transport."""
    assert {subject: 1.0} == shares_of_stacks(f"{LOOP}{stack} 3\n")


def test_thread_that_waits_for_work_is_not_counted() -> None:
    """The sampler takes it for busy now and then."""
    waits = "Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:81) 7"
    assert {"loop, transport": 1.0} == shares_of_stacks(f"{waits}\n{LOOP} 1\n")


def test_symbols_are_counted_by_object_file() -> None:
    """What has no name of its own is the part itself."""
    script = """
        ffffffff81 tcp_sendmsg ([kernel.kallsyms])
        ffffffff82 ext4_sync_file ([kernel.kallsyms])
            55d0c3 [unknown] (/opt/valkey-server)
            55d0c4 [unknown] (/opt/valkey-server)
            7f00aa [unknown] ([JIT] tid 65)
    """
    expected = {"network": 0.2, "fsync": 0.2, "valkey itself": 0.4, "Lua of the edge": 0.2}
    assert expected == shares_of_symbols("valkey", script)


def test_pattern_names_files_that_are_there() -> None:
    """A file that was renamed is not forgotten in the table."""
    named = [
        path
        for _, pattern in subjects._FRAMES
        for path in re.findall(r"services/[\w/]+(?:\\\.py)?", pattern.pattern)
    ]
    assert len(named) > 5
    missing = [path for path in named if not _is_there(path.replace("\\", ""))]
    assert [] == missing


def _is_there(path: str) -> bool:
    return (ROOT / path).exists() or bool(list((ROOT / path).parent.glob(f"{Path(path).name}*")))
