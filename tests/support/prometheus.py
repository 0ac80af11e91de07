"""A real Prometheus with Kuji's alarms, which look back and wait for seconds instead of minutes."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import yaml

from services.common.tasks import pause
from stack.ports import free_port
from stack.probes import UNREACHABLE, http_get
from stack.processes import ROOT, Child, Program, stop
from tests.support.monitoring import FOLDER

TOOLS = ROOT / ".cache" / "prometheus"
# A look back has to hold some scrapes, each of which may take its time on a busy machine.
_LOOKS_BACK_LESS = 60
_WAITS_LESS = 300
_EVERY = "1s"
_RANGE = re.compile(r"\[(\w+)\]")


def program(name: str) -> Path | None:
    """prometheus or promtool; None: not here."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS))
    return Path(found) if found else None


def problem() -> str | None:
    """Why there is no Prometheus; None: there is, or it was got just now."""
    if program("prometheus") and program("promtool"):
        return None
    if shutil.which("apt-get") is None:
        return "there is no Prometheus here, and no apt-get"
    install = ["make", "-s", "-C", str(ROOT), "prometheus"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=240)
    return f"`make prometheus` fails: {done.stderr[-500:]}" if done.returncode else None


def groups(looks_back_less: int = 1, waits_less: int = 1) -> dict[str, Any]:
    """The rule file; its expressions are those of the alarms, but for how far they look back."""

    def shortened(text: str, by: int) -> str:
        return f"{round(promql_parser.parse_duration(text).total_seconds() * 1000 / by)}ms"

    rule = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
    for group in rule["spec"]["groups"]:
        for one in group["rules"]:
            one["expr"] = _RANGE.sub(
                lambda found: f"[{shortened(found[1], looks_back_less)}]", one["expr"]
            )
            if "for" in one:
                one["for"] = shortened(one["for"], waits_less)
    return {"groups": rule["spec"]["groups"]}


class Prometheus:
    """One that runs."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """What *expr* gives now."""
        answer = (await self._http.get("/api/v1/query", params={"query": expr})).json()
        assert answer["status"] == "success", (expr, answer)
        result = answer["data"]["result"]
        return [{"value": result}] if answer["data"]["resultType"] == "scalar" else result

    async def firing(self) -> set[str]:
        """The alarms that fire now."""
        alerts = (await self._http.get("/api/v1/alerts")).json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    async def until_fired(self, *names: str, patience_s: float = 100) -> None:
        """Return once each of *names* has fired."""
        missing = set(names)
        try:
            async with asyncio.timeout(patience_s):
                await self.cross_off(missing)
        except TimeoutError:
            raise AssertionError(f"do not fire: {sorted(missing)}") from None

    async def cross_off(self, missing: set[str]) -> None:
        """Take out of *missing* what fires, until nothing is left."""
        while missing:
            missing -= await self.firing()
            await pause(0.1)

    async def until_quiet(self, *names: str, patience_s: float = 100) -> None:
        """Return once none of *names* fires."""
        try:
            async with asyncio.timeout(patience_s):
                while firing := set(names) & await self.firing():
                    await pause(0.1)
        except TimeoutError:
            raise AssertionError(f"do not end: {sorted(firing)}") from None


@asynccontextmanager
async def watching(
    folder: Path, services: Mapping[str, str], edge: str
) -> AsyncIterator[Prometheus]:
    """Prometheus with its files in *folder*, looking at host:port of each part and of the edge."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(groups(_LOOKS_BACK_LESS, _WAITS_LESS)))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_configuration(services, edge)))
    listen = f"127.0.0.1:{free_port()}"
    command = [
        str(program("prometheus")),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={listen}",
        "--log.level=warn",
    ]
    log = folder / "prometheus.log"
    child = Child(Program("prometheus", command, log, dict(os.environ)))

    async def is_ready() -> bool:
        try:
            return (await http_get(f"http://{listen}/-/ready"))[0] == 200
        except UNREACHABLE:
            return False

    try:
        await child.wait_until_ready(is_ready)
        async with httpx.AsyncClient(base_url=f"http://{listen}", timeout=10) as http:
            yield Prometheus(http)
    finally:
        stop([child], timeout_s=10)


def _configuration(services: Mapping[str, str], edge: str) -> dict[str, Any]:
    def target(component: str, address: str) -> dict[str, Any]:
        labels = {"job": "kuji", "component": component, "namespace": "kuji", "pod": component}
        return {"targets": [address], "labels": labels}

    return {
        "global": {
            "scrape_interval": _EVERY,
            "scrape_timeout": _EVERY,
            "evaluation_interval": "250ms",
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": "kuji", "static_configs": [target(*one) for one in services.items()]},
            {
                "job_name": "kuji-edge",
                "metrics_path": "/stats/prometheus",
                "static_configs": [target("envoy", edge)],
            },
        ],
    }
