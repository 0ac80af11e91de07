"""
Records what ghz itself makes of the files here, as facts that tests without Go are held to.

Run `python -m tests.load.ghz.record` after `make ghz-tools`; the facts are committed.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.processes import ROOT
from tests.support.ghz.processes import running_echo

HERE = Path(__file__).parent
FACTS = HERE / "facts"
TOOLS = ROOT / ".cache" / "ghz"
CONFIGURATIONS = ("unary.json", "failures.toml", "timeouts.yaml", "streams.json", "paced.json")
FORMATS = ("summary", "csv", "json", "pretty", "influx-summary", "influx-details", "prometheus")
PACES: tuple[Mapping[str, Any], ...] = (
    {"Start": 0},
    {"Start": 10},
    {"Start": 3000},
    {"Start": 5, "Step": 5, "End": 15, "StepNs": 10**9},
    {"Start": 20, "Step": -5, "End": 5, "StepNs": 5 * 10**8},
    {"Start": 10, "Step": 10, "StepNs": 5 * 10**8, "MaxNs": 2 * 10**9},
    {"Start": 10, "Step": 10, "End": 100, "StepNs": 5 * 10**8, "MaxNs": 2 * 10**9},
)
# Elapsed nanoseconds and calls made; none lies on a step, where a float decides.
POINTS = [
    [ms * 1_000_000 + 1, calls]
    for ms in (0, 130, 490, 510, 990, 1010, 1490, 2010, 3100, 7777)
    for calls in (0, 1, 7, 33, 80, 400)
]


def reference(kind: str, value: object) -> str:
    """What ghz makes of *value*."""
    done = subprocess.run(
        [TOOLS / "reference", kind],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def run_ghz(configuration: str, *more: str) -> dict[str, Any]:
    """The JSON report of ghz itself."""
    config = str(HERE / configuration)
    command = [str(TOOLS / "ghz"), "--config", config, "-O", "json", *more]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, timeout=120)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _write(name: str, value: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
    (FACTS / name).write_text(text.rstrip("\n") + "\n")


def main() -> None:
    """Write all facts anew."""
    FACTS.mkdir(exist_ok=True)
    sources = json.loads((HERE / "templates.json").read_text())
    results = json.loads(reference("templates", sources))
    _write("templates.json", dict(zip(sources, results, strict=True)))
    paces = [{**pace, "Points": POINTS} for pace in PACES]
    _write("pacing.json", json.dumps(json.loads(reference("pacing", paces))))
    with running_echo() as address:
        for configuration in CONFIGURATIONS:
            report = run_ghz(configuration, address)
            shown = {
                form: reference("print", {"report": report, "format": form}) for form in FORMATS
            }
            _write(f"{Path(configuration).stem}.json", {"report": report, "shown": shown})


if __name__ == "__main__":
    main()
