"""Logs as JSON lines."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from services.common.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """As it was: loggers that are in use already keep to that, and other tests look there."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_event_is_one_json_line_with_its_service(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, service and fields, one line each; quieter levels are left out."""
    configure_logs("draw", "info")
    log = structlog.get_logger()
    log.debug("not shown")
    log.info("drawn\nbadly", pool_id=7)
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.pop("timestamp")
    assert event == {"event": "drawn\nbadly", "level": "info", "service": "draw", "pool_id": 7}


def test_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """A password on the stack of a defect does not get into the log; the error does."""
    configure_logs("auth", "info")

    def fail(password: str) -> None:
        raise RuntimeError(f"failed on {len(password)} characters")

    try:
        fail("correct horse")
    except RuntimeError as error:
        structlog.get_logger().error("unexpected error", exc_info=error)
    shown = capsys.readouterr().err
    assert "failed on 13 characters" in shown
    assert "correct horse" not in shown.replace('fail("correct horse")', "")


def test_libraries_log_like_the_house(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One JSON line each; what nobody waits for any more is an error unless it is an outage."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logs("draw", "info")
    for error in (TimeoutError("away"), ValueError("wrong")):
        logging.getLogger("asyncio").error("never retrieved", exc_info=error)
    outage, defect = map(json.loads, capsys.readouterr().err.splitlines())
    assert ("warning", "TimeoutError: away") == (outage["level"], outage["error"])
    assert ("error", "never retrieved", "asyncio") == (
        defect["level"],
        defect["event"],
        defect["logger"],
    )
    assert "ValueError" == defect["exception"][0]["exc_type"]


_PAST_THE_LOG = """
import threading, warnings
from services.common.logs import configure_logs, log_what_python_says
configure_logs("draw", "info")
log_what_python_says()
class Bad:
    def __del__(self):
        raise ValueError("finalizer")
def fail():
    raise ValueError("thread")
Bad()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
warnings.warn("old")
"""


def test_what_python_itself_says_is_in_lines_like_ours() -> None:
    """Of a thread that ends, a finalizer that fails, a warning: whoever reads logs reads JSON."""
    ran = subprocess.run(
        [sys.executable, "-c", _PAST_THE_LOG], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ["error", "error", "warning"] == [line["level"] for line in lines]
    told = [line["exception"][0]["exc_value"] for line in lines[:2]]
    assert ["finalizer", "thread"] == told
