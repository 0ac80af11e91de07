"""k8s/roll.sh applies each stage of what is rendered, in the order of versions."""

import os
import subprocess
from pathlib import Path

from tests.support.manifests import FOLDER, rendered, workloads

_STAND_IN = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"get deployments"*"stage=$FAILING_STAGE "*) echo deployment.apps/any;; esac
case "$*" in *"rollout status"*) exit 1;; esac
"""


def _calls(folder: Path, failing_stage: str) -> tuple[int, list[str]]:
    kubectl, calls = folder / "kubectl", folder / "calls"
    kubectl.write_text(_STAND_IN)
    kubectl.chmod(0o755)
    calls.write_text("")
    own = {"KUBECTL": str(kubectl), "CALLS": str(calls), "FAILING_STAGE": failing_stage}
    done = subprocess.run(
        [FOLDER / "roll.sh", "overlays/dev"], env={**os.environ, **own}, check=False, timeout=60
    )
    return done.returncode, calls.read_text().splitlines()


def test_stages_are_applied_in_order_of_upgrades(tmp_path: Path) -> None:
    """Everything is applied once; the schema first, readers of the ledger before its writer."""
    code, calls = _calls(tmp_path, "none")
    stages = {
        name: one["metadata"]["labels"].get("kuji.dev/stage")
        for name, one in workloads(rendered("dev")).items()
    }
    order = ["migrate", "recorder", "history", "draw", "admin", "auth", "envoy", "smoke"]
    staged = sorted(filter(stages.get, stages), key=lambda name: (stages[name], order.index(name)))
    assert order == staged
    applied = [call.rpartition("=")[2] for call in calls if call.startswith("apply")]
    assert 0 == code
    assert ["apply -k overlays/dev --selector !kuji.dev/stage", *"123456"] == applied


def test_rolling_ends_where_a_stage_does(tmp_path: Path) -> None:
    """What comes after a part that does not get ready stays as it was."""
    code, calls = _calls(tmp_path, "3")
    assert 1 == code
    assert "--selector kuji.dev/stage=3" in [call for call in calls if "apply" in call][-1]
