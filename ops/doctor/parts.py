"""The parts of the installation: whether each runs and serves, and which version it is."""

import asyncio
import json
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from ops.doctor.clocks import judge_date
from ops.doctor.patient import SERVICES, Patient
from ops.doctor.symptoms import Grade, Symptom, runbook, unknown, warning, well, wrong
from ops.doctor.web import ANSWER_S, NoPageError, WebAnswer, fetch
from services.common.channels import open_channel
from services.common.settings import TlsSettings, read_settings
from stack.probes import UNREACHABLE, http_get_from_socket
from stack.processes import StackError, command, how_to_install
from stack.status import ask

_METRICS_PORT = 9100
_OLDEST_ENVOY = (1, 36)  # as in pyproject.toml
_FIRST = runbook("first-look")
_START = runbook("the-stack-does-not-start-or-stops")


async def stack(patient: Patient) -> list[Symptom]:
    """Of a stack on this machine, all parts run."""
    if not patient.is_home_used:
        return []
    try:
        owner = patient.home.owner()
    except StackError as error:
        return [unknown(str(error))]
    if owner is None:
        why = "nobody can draw, and what needs a store cannot be looked at"
        step = f"{command('up')}; if it does not start: {_START}"
        return [wrong(f"no stack runs in {patient.home.folder}", why, step)]
    if not patient.endpoints:
        why = "nobody can draw yet"
        step = f"wait a minute; then {patient.home.log('stack')} says what keeps it"
        return [warning("the stack is starting", why, step)]
    found = await ask(patient.home)
    ill = [
        wrong(
            f"{part.name} {_ails(part.state)}",
            "what needs it does not work",
            f"{patient.home.log(part.name)} says why; {_FIRST}",
        )
        for part in found.parts
        if not part.is_well
    ]
    return ill or [well(f"{len(found.parts)} parts run")]


def _ails(state: str) -> str:
    if state in ("frozen", "dead"):
        return f"is {state}"
    return state if state.startswith("does") else f"is not well: {state}"


class _Target(NamedTuple):
    service: str
    address: str


async def health(patient: Patient) -> list[Symptom]:
    """Every service says that it serves."""
    targets = await _targets(patient)
    if not targets:
        return [unknown("no services are known here (KUJI_AUTH_ADDRESS, KUJI_DRAW_ADDRESS, …)")]
    answers = await asyncio.gather(*(_health(target.address) for target in targets))
    ill = [
        wrong(
            f"{target.service} at {target.address} {answer}",
            "its calls get UNAVAILABLE, unless another process of it serves",
            f"its log says why; {_FIRST}",
        )
        for target, answer in zip(targets, answers, strict=True)
        if answer
    ]
    services = sorted({target.service for target in targets})
    return ill or [well(f"{', '.join(services)} serve ({len(targets)} processes)")]


async def _targets(patient: Patient) -> list[_Target]:
    """Each process of each service, as far as its name tells of several."""
    known = {service: patient.address_of(service) for service in SERVICES}
    is_secure = bool(patient.environment.get("KUJI_TLS_CA_FILE"))  # certificates bear names
    return [
        _Target(service, one)
        for service, address in known.items()
        if address
        for one in ([address] if is_secure else await _resolved(address))
    ]


async def _resolved(address: str) -> list[str]:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_S):
            found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return [address]  # asking it says what is wrong
    places = sorted({str(one[4][0]) for one in found})
    return [f"[{place}]:{port}" if ":" in place else f"{place}:{port}" for place in places]


async def _health(address: str) -> str:
    """Why it does not serve; "": it does."""
    async with open_channel(address, read_settings(TlsSettings).tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
        except grpc.aio.AioRpcError as error:
            return f"does not answer: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return "says that it does not serve: it waits for another part, or is stopping"


class _Measured(NamedTuple):
    """What a process's metrics page says."""

    process: str
    page: WebAnswer
    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]


async def processes(patient: Patient) -> list[Symptom]:
    """The processes are of one version, have one clock, and nothing keeps them waiting."""
    pages = await _pages(patient)
    if not pages:
        return []
    asked = await asyncio.gather(*(_measure(*page) for page in pages.items()))
    measured = [one for one in asked if isinstance(one, _Measured)]
    silent = [one for one in asked if isinstance(one, str)]
    found = [*_versions(measured), *_clocks(measured), *_waits(measured)]
    if silent:
        found.append(unknown(f"metrics do not answer: {', '.join(silent)}"))
    return found or [well(f"{len(measured)} processes of one version, none waits for a part")]


async def _pages(patient: Patient) -> dict[str, str]:
    if known := dict(patient.endpoints.get("metrics", {})):
        return known
    return {
        f"{target.service} {host}": f"http://{host}:{_METRICS_PORT}/metrics"
        for target in await _targets(patient)
        for host in [target.address.rpartition(":")[0]]
    }


async def _measure(process: str, url: str) -> _Measured | str:
    """The page; the process's name where it does not answer."""
    try:
        page = await fetch(url)
    except NoPageError:
        return process
    samples = defaultdict(list)
    for family in text_string_to_metric_families(page.text):
        for one in family.samples:
            samples[one.name].append((one.labels, one.value))
    return _Measured(process, page, samples)


def _versions(measured: Sequence[_Measured]) -> list[Symptom]:
    of: defaultdict[str, list[str]] = defaultdict(list)
    for one in measured:
        for labels, _ in one.samples.get("kuji_build_info", ()):
            of[labels["version"]].append(one.process)
    if len(of) < 2:
        return []
    told = "; ".join(f"{version}: {', '.join(names)}" for version, names in sorted(of.items()))
    why = "two versions side by side are for an upgrade, not for long"
    return [warning(f"the processes are of several versions ({told})", why, _UPGRADE)]


_UPGRADE = "finish the upgrade, or take it back: docs/operations.md#upgrade"


def _clocks(measured: Sequence[_Measured]) -> list[Symptom]:
    judged = [judge_date(one.process, one.page) for one in measured]
    return [one for one in judged if one.grade in (Grade.WARNING, Grade.WRONG)]


_WAITS = {
    "kuji_draw_pools_behind": (
        "Redis is older than what was answered",
        "those pools are not drawn from",
        runbook("redis-lost-or-older-than-it-should-be"),
    ),
    "kuji_draw_marks_unwritten": (
        "marks cannot be written to their file",
        "nothing is answered",
        "look at the disk of KUJI_MARKS_FOLDER: full, read-only?",
    ),
    "kuji_draw_store_clock_off_seconds": (
        "Redis's clock is not believed",
        "nothing is drawn",
        runbook("a-clock-is-off"),
    ),
    "kuji_work_interrupted": (
        "work without end waits for a part, or fails",
        "it goes on by itself once that part is back",
        f"its log says which; {_FIRST}",
    ),
}


def _waits(measured: Sequence[_Measured]) -> list[Symptom]:
    return [
        wrong(f"{one.process}: {sentence}{_of(one, name)}", why, step)
        for one in measured
        for name, (sentence, why, step) in _WAITS.items()
        if any(value for _, value in one.samples.get(name, ()))
    ]


def _of(measured: _Measured, name: str) -> str:
    works = [labels["work"] for labels, value in measured.samples[name] if value and labels]
    return f" ({', '.join(works)})" if works else ""


async def envoy(patient: Patient) -> list[Symptom]:
    """Of a stack on this machine, Envoy is not too old."""
    socket_file = patient.home.folder / "envoy" / "admin.sock"
    if not (patient.endpoints and socket_file.exists()):
        return []
    try:
        _, text = await http_get_from_socket(socket_file, "/server_info")
    except UNREACHABLE as error:
        return [unknown(f"Envoy does not say which version it is: {type(error).__name__}")]
    return [judge_envoy(json.loads(text)["version"].split("/")[1])]


def judge_envoy(release: str) -> Symptom:
    """The same, of what it says of itself."""
    if tuple(int(part) for part in release.split(".")[:2]) >= _OLDEST_ENVOY:
        return well(f"Envoy {release}")
    return wrong(
        f"this is Envoy {release}; Kuji needs {'.'.join(map(str, _OLDEST_ENVOY))} or newer",
        "its configuration uses what older ones do not know, or take otherwise",
        f"{how_to_install()} brings one that fits",
    )


async def edge(patient: Patient) -> list[Symptom]:
    """The edge answers, and its clock is this machine's."""
    if not patient.edge_url:
        return [unknown("it is not known where the edge is (KUJI_EDGE_URL)")]
    where = f"the edge at {urlsplit(patient.edge_url).netloc}"
    try:
        page = await fetch(f"{patient.edge_url}/healthz")
    except NoPageError as error:
        why = "nobody outside can draw"
        return [wrong(f"{where} does not answer: {error}", why, _FIRST)]
    clock = judge_date("the edge", page)
    return [well(f"{where} serves"), *([clock] if clock.grade is not Grade.OK else [])]
