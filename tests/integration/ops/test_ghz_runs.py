"""kuji ghz against a server: each option does what ghz does with it."""

import asyncio
import io
import json
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OperatorError
from ops.ghz.busy import BusyClock, Busyness
from ops.ghz.checks import checked
from ops.ghz.command_line import read_options
from ops.ghz.options import OPTIONS
from ops.ghz.payloads import stdin_text
from ops.ghz.reports.formats import WRITERS
from ops.ghz.reports.report import LoadReport, report_of
from ops.ghz.runner import run
from stack.processes import ROOT
from tests.support.command import run_kuji
from tests.support.ghz.certificates import Certificates, make_certificates
from tests.support.ghz.echo import NAME, PROTO, EchoServer, compile_protoset


@dataclass
class Echo:
    """A server in this process, and what it was told."""

    server: EchoServer
    address: str
    secure: str
    certificates: Certificates
    folder: Path

    async def ghz(self, *arguments: str, method: str = "Say", plain: bool = True) -> LoadReport:
        """The report on a run of *arguments*; the server has forgotten what came before."""
        self.server.texts.clear()
        self.server.metadata.clear()
        where = ["--insecure", self.address] if plain else [self.secure]
        if arguments and arguments[-1].startswith("127.0.0.1:"):
            where.pop()
        call = ["--call", f"{NAME}/{method}", "-n", "6", "-c", "2"]
        options = checked(read_options([*call, *arguments, *where]))
        return report_of(options, await run(options), time.time_ns())

    def file(self, name: str, content: str | bytes) -> str:
        """The path of a file with *content*."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def message(self, **fields: Any) -> bytes:
        """A serialized request."""
        data: bytes = self.server.request(**fields).SerializeToString()
        return data


@pytest.fixture(scope="module")
async def echo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Echo]:
    """Plain on one port; on the other TLS, which asks for a client's certificate."""
    folder = tmp_path_factory.mktemp("ghz")
    certificates = make_certificates(folder)
    echo = EchoServer()
    server = echo.server()
    plain = server.add_insecure_port("127.0.0.1:0")
    secure = server.add_secure_port("127.0.0.1:0", certificates.server_credentials())
    await server.start()
    yield Echo(echo, f"127.0.0.1:{plain}", f"127.0.0.1:{secure}", certificates, folder)
    await server.stop(None)


def _statuses(report: LoadReport) -> dict[str, int]:
    return dict(report.tallies.statuses)


def _seconds(report: LoadReport) -> float:
    return report.total_ns / 1e9


Check = Callable[[Echo, LoadReport], bool]


@dataclass(frozen=True)
class Case:
    """Arguments that use an option, and what must be true of the run."""

    arguments: Callable[[Echo], list[str]]
    check: Check
    method: str = "Say"
    plain: bool = True


def _case(*arguments: str, check: Check, method: str = "Say") -> Case:
    return Case(lambda _: list(arguments), check, method)


def _tls(*arguments: str) -> Case:
    def words(echo: Echo) -> list[str]:
        paths = echo.certificates.__dict__
        return [word.format(**paths) for word in arguments]

    return Case(words, lambda _, report: {"OK": 6} == _statuses(report), plain=False)


CLIENT = ("--cert", "{client}", "--key", "{client_key}", "--proto", str(PROTO))
SLOW = '{"delay_ms":300}'


def _all_ok(_: Echo, report: LoadReport) -> bool:
    return _statuses(report) == {"OK": report.tallies.count} and report.tallies.count > 0


def _texts(*expected: str) -> Check:
    return lambda echo, _: sorted(expected) == sorted(echo.server.texts)


def _came(name: str, value: str | bytes) -> Check:
    return lambda echo, _: all(value == each.get(name) for each in echo.server.metadata)


def _took(least_s: float, most_s: float = 60) -> Check:
    return lambda _, report: least_s <= _seconds(report) <= most_s


def _shown(**expected: Any) -> Check:
    return lambda _, report: expected.items() <= dict(report.options).items()


def _debug_lines(echo: Echo, _: LoadReport) -> bool:
    lines = [json.loads(line) for line in (echo.folder / "debug.json").read_text().splitlines()]
    return ["OK"] * 6 == [line["code"] for line in lines] and all(x["duration"] > 0 for x in lines)


def _workers(*names: str) -> Check:
    return lambda echo, _: set(names) == set(echo.server.texts)


WORKER = ["-d", '{"text":"{{.WorkerID}}","delay_ms":20}']
STEP = ["--load-schedule=step", "--load-start=5", "--load-step=20", "--load-step-duration=400ms"]
CREW = [
    "--concurrency-schedule=step",
    "--concurrency-start=1",
    "--concurrency-step=1",
    "--concurrency-end=3",
    "--concurrency-step-duration=150ms",
    "-c3",
    "-n12",
    "-d",
    '{"text":"{{.WorkerID}}","delay_ms":100}',
]

CASES: dict[str, Case] = {
    "config": Case(
        lambda echo: ["--config", echo.file("c.json", '{"data": {"text": "of a file"}}')],
        _texts(*["of a file"] * 6),
    ),
    "host": _case("-d{}", check=_all_ok),
    "call": _case("--call", f"{NAME}.Say", "-d{}", check=_all_ok),
    "proto": _case("--proto", str(PROTO), "-d{}", check=_all_ok),
    "import-paths": Case(
        lambda echo: [
            "--proto",
            "echo.proto",
            "-i",
            f"{echo.folder},{PROTO.parent}",
            "-d{}",
        ],
        lambda echo, report: (
            _all_ok(echo, report)
            and [".", str(echo.folder), str(PROTO.parent)] == report.options["import-paths"]
        ),
    ),
    "protoset": Case(
        lambda echo: ["--protoset", _protoset(echo), "-d{}"],
        _all_ok,
    ),
    "insecure": _case("--insecure", "-d{}", check=_all_ok),
    "cacert": _tls("--cacert", "{root}", *CLIENT),
    "cert": _tls("--cacert", "{root}", *CLIENT),
    "key": _tls("--cacert", "{root}", *CLIENT),
    "cname": _tls("--cacert", "{root}", "--cname", "kuji.test", *CLIENT),
    "skipTLS": _tls("--skipTLS", *CLIENT),
    "authority": _case("--authority", "kuji.test", "-d{}", check=_all_ok),
    "async": _case("--async", "-c1", "-d", SLOW, check=_took(0.3, 1.5)),
    "rps": _case("-r", "10", check=_took(0.55)),
    "load-schedule": _case(*STEP, "-n4", check=_took(0.4)),
    "load-start": _case(*STEP, "-n4", check=_shown(**{"load-start": 5})),
    "load-step": _case(*STEP, "-n4", check=_shown(**{"load-step": 20})),
    "load-end": _case(*STEP, "--load-end=100", "-n4", check=_took(0.4)),
    "load-step-duration": _case(*STEP, "-n4", check=_shown(**{"load-step-duration": 400_000_000})),
    "load-max-duration": _case(*STEP, "--load-max-duration=800ms", "-n4", check=_took(0.4)),
    "concurrency": _case("-c3", *WORKER, check=_workers("g0c0", "g1c0", "g2c0")),
    "concurrency-schedule": _case(*CREW, check=_workers("g0c0", "g1c0", "g2c0")),
    "concurrency-start": _case(
        *CREW, "--concurrency-start=2", check=_workers("g0c0", "g1c0", "g2c0")
    ),
    "concurrency-step": _case(
        *CREW, "--concurrency-step=2", check=_workers("g0c0", "g1c0", "g2c0")
    ),
    "concurrency-end": _case(*CREW, "--concurrency-end=2", check=_workers("g0c0", "g1c0")),
    "concurrency-step-duration": _case(
        *CREW, "--concurrency-step-duration=1h", check=_workers("g0c0")
    ),
    "concurrency-max-duration": _case(
        *CREW, "--concurrency-max-duration=150ms", check=_workers("g0c0", "g1c0", "g2c0")
    ),
    "total": _case("-n9", check=lambda _, report: 9 == report.tallies.count),
    "timeout": _case(
        "-t100ms", "-d", SLOW, check=lambda _, r: {"DeadlineExceeded": 6} == _statuses(r)
    ),
    "duration": _case(
        "-z400ms",
        "-n1",
        "-d",
        '{"delay_ms":20}',
        check=lambda _, r: "timeout" == r.end_reason and r.tallies.count > 2,
    ),
    "max-duration": _case(
        "-x20s", "-n4", check=lambda _, r: ("normal", 4) == (r.end_reason, r.tallies.count)
    ),
    "duration-stop": _case(
        "-z150ms",
        "--duration-stop=wait",
        "-d",
        SLOW,
        check=lambda _, r: {"OK": 2} == _statuses(r) and "timeout" == r.end_reason,
    ),
    "data": _case(
        "-d",
        '[{"text":"a"},{"text":"{{.RequestNumber}}"}]',
        check=_texts("a", "1", "a", "3", "a", "5"),
    ),
    "data-file": Case(
        lambda echo: ["-D", echo.file("d.json", '{"text": {{ .MethodName | quote }}}')],
        _texts(*["Say"] * 6),
    ),
    "binary-file": Case(
        lambda echo: ["-B", echo.file("d.bin", echo.message(text="b"))], _texts(*["b"] * 6)
    ),
    "metadata": _case(
        "-m",
        '{"Trace":"{{.MethodName}}","raw-bin":"AAH/"}',
        check=lambda echo, r: (
            _came("trace", "Say")(echo, r) and _came("raw-bin", b"\0\1\xff")(echo, r)
        ),
    ),
    "metadata-file": Case(
        lambda echo: ["-M", echo.file("m.json", '{"trace": {{ list `a` | first | quote }}}')],
        _came("trace", "a"),
    ),
    "stream-interval": _case(
        "-n1",
        "-c1",
        "--stream-interval=100ms",
        "-d",
        '[{"text":"a"},{"text":"b"},{"text":"c"}]',
        check=lambda e, r: _texts("a", "b", "c")(e, r) and _took(0.2)(e, r),
        method="Collect",
    ),
    "stream-call-duration": _case(
        "-n2",
        "--stream-call-duration=250ms",
        "-d",
        '{"count":1000,"delay_ms":20}',
        check=lambda _, r: {"Canceled": 2} == _statuses(r),
        method="Expand",
    ),
    "stream-call-count": _case(
        "-n2",
        "--stream-call-count=3",
        "-d",
        '[{"text":"a"},{"text":"b"}]',
        check=_texts("a", "b", "a", "a", "b", "a"),
        method="Chat",
    ),
    "stream-dynamic-messages": _case(
        "-n2",
        "--stream-call-count=3",
        "--stream-dynamic-messages",
        "-d",
        '{"text":"{{newUUID}}"}',
        check=lambda e, r: 6 == len(set(e.server.texts)) and _all_ok(e, r),
        method="Chat",
    ),
    "reflect-metadata": _case("--reflect-metadata", '{"who":"me"}', "-d{}", check=_all_ok),
    "format": _case("-O", "csv", check=_all_ok),
    "skipFirst": _case("--skipFirst", "4", check=lambda _, r: 2 == r.tallies.count),
    "count-errors": _case(
        "--count-errors",
        "-d",
        '{"code":5}',
        check=lambda _, r: r.latencies.fastest_ns > 0 and {"NotFound": 6} == _statuses(r),
    ),
    "connections": _case("-c3", "--connections=3", *WORKER, check=_workers("g0c0", "g1c1", "g2c2")),
    "keepalive": _case("--keepalive=10s", check=_shown(keepalive=10_000_000_000)),
    "name": _case(
        "--name=n", *WORKER, check=lambda e, r: {"n:g0c0", "n:g1c0"} == set(e.server.texts)
    ),
    "tags": _case("--tags", '{"b":"2","a":"1"}', check=lambda _, r: ["a", "b"] == list(r.tags)),
    "cpus": _case("--cpus=1", check=_shown(CPUs=1)),
    "debug": Case(lambda echo: [f"--debug={echo.folder / 'debug.json'}"], _debug_lines),
    "enable-compression": _case(
        "-e", "-d", json.dumps({"text": "a" * 5000}), check=_texts(*["a" * 5000] * 6)
    ),
    "lb-strategy": _case("--lb-strategy=round_robin", check=_all_ok),
    "max-recv-message-size": _case(
        "--max-recv-message-size=100",
        "--proto",
        str(PROTO),
        "-d",
        json.dumps({"text": "a" * 500}),
        check=lambda _, r: {"ResourceExhausted": 6} == _statuses(r),
    ),
    "max-send-message-size": _case(
        "--max-send-message-size=100",
        "-d",
        json.dumps({"text": "a" * 500}),
        check=lambda _, r: {"ResourceExhausted": 6} == _statuses(r),
    ),
    "disable-template-functions": _case(
        "--disable-template-functions",
        "-d",
        '{"text":"{{.MethodName}}"}',
        check=_texts(*["Say"] * 6),
    ),
    "disable-template-data": _case(
        "--disable-template-data", "-d", '{"text":"{{x}}"}', check=_texts(*["{{x}}"] * 6)
    ),
}
# Told below, of a process: what reads stdin, writes files, or takes its time.
ELSEWHERE = {"binary", "output", "connect-timeout"}


def _protoset(echo: Echo) -> str:
    path = echo.folder / "echo.binpb"
    compile_protoset(path)
    return str(path)


@pytest.mark.parametrize("option", CASES)
async def test_option_does_what_ghz_does_with_it(
    option: str, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case for each row of the table in docs/ghz.md."""
    monkeypatch.chdir(echo.folder if option == "import-paths" else ROOT)
    case = CASES[option]
    report = await echo.ghz(*case.arguments(echo), method=case.method, plain=case.plain)
    told = (option, report.options, _statuses(report), report.tallies.errors, echo.server.texts)
    assert case.check(echo, report), told
    for write in WRITERS.values():
        assert write(report)


def test_every_option_has_a_case() -> None:
    """A new option brings its test."""
    known = {option.name for option in OPTIONS.values()} | {"config"}
    assert known == set(CASES) | ELSEWHERE


async def test_open_calls_are_cut_off_or_ignored_when_the_time_is_over(echo: Echo) -> None:
    """close: they fail; ignore: they are not told."""
    closed = await echo.ghz("-z150ms", "-d", SLOW)
    assert {"Unavailable": 2} == _statuses(closed)
    assert ["rpc error: code = Unavailable desc = transport is closing"] == [*closed.tallies.errors]
    ignored = await echo.ghz("-z150ms", "--duration-stop=ignore", "-d", SLOW)
    assert ({}, 0, "timeout") == (_statuses(ignored), ignored.tallies.count, ignored.end_reason)


async def test_streams_of_each_kind_are_cut_off_when_the_time_is_over(echo: Echo) -> None:
    """Nobody waits for a stream that goes on."""
    for method in ("Expand", "Collect", "Chat"):
        slow = '{"delay_ms":5000,"count":9}'
        report = await echo.ghz("-z200ms", "-d", slow, method=method)
        assert {"Unavailable": 2} == _statuses(report), method
        assert _seconds(report) < 4


async def test_failure_is_told_in_the_words_of_ghz(echo: Echo) -> None:
    """Of each code."""
    data = json.dumps([{"code": code} for code in range(17)])
    report = await echo.ghz("-n17", "-c1", "-d", data)
    assert {
        "OK": 1,
        "Canceled": 1,
        "Unknown": 1,
        "InvalidArgument": 1,
        "DeadlineExceeded": 1,
        "NotFound": 1,
        "AlreadyExists": 1,
        "PermissionDenied": 1,
        "ResourceExhausted": 1,
        "FailedPrecondition": 1,
        "Aborted": 1,
        "OutOfRange": 1,
        "Unimplemented": 1,
        "Internal": 1,
        "Unavailable": 1,
        "DataLoss": 1,
        "Unauthenticated": 1,
    } == _statuses(report)
    assert 1 == report.tallies.errors["rpc error: code = NotFound desc = code 5 was asked for"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--call", f"{NAME}/Nope"], 'has no method "Nope"'),
        (["--call", "a.B/C"], 'does not know "a.B"'),
        (["--call", "nothing"], "is not package.Service/Method"),
        (["--proto", "nowhere.proto"], "proto: "),
        (["--protoset", "nowhere.binpb"], "protoset: nowhere.binpb"),
        (["--protoset", "README.md"], "protoset: README.md cannot be read"),
        (["-d", '{"nope":1}'], "data does not fit kuji.loadtest.v1.EchoRequest"),
        (["-d", '{"text":"{{nofunc}}"}'], 'function "nofunc" not defined'),
        (["-d", '{"text":"{{randomInt 5 5}}"}'], "randomInt"),
        (["-m", '{"raw-bin":"?"}'], "raw-bin is not base64"),
        (["-B", "README.md"], "binary data does not fit"),
        (["--disable-template-functions", "-d", '{"text":"{{newUUID}}"}'], "not defined"),
        (["--debug", "/nowhere/x"], "debug: /nowhere/x"),
    ],
)
async def test_run_that_cannot_be_made_says_why(
    arguments: list[str], sentence: str, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence; nothing hangs."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(OperatorError, match=sentence):
        await echo.ghz(*arguments)


async def test_certificate_that_is_not_trusted_fails_each_call(echo: Echo) -> None:
    """Without skipTLS; and the run still ends with a report."""
    paths = echo.certificates.__dict__
    arguments = [word.format(**paths) for word in CLIENT]
    report = await echo.ghz("--cacert", paths["stranger"], *arguments, plain=False)
    assert {"Unavailable": 6} == _statuses(report)


async def test_binary_data_may_be_many_messages_with_their_lengths(echo: Echo) -> None:
    """As protobuf writes them delimited."""
    data = b"".join(
        bytes([len(message)]) + message
        for message in (echo.message(text="one"), echo.message(text="two"))
    )
    report = await echo.ghz("-B", echo.file("many.bin", data))
    assert sorted(["one", "two"] * 3) == sorted(echo.server.texts)
    assert report.options["binary"]


async def test_data_may_come_from_stdin(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-d @`, which the report tells as well."""
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"text": "of stdin"}'))
    stdin_text.cache_clear()
    report = await echo.ghz("-d", "@")
    assert ["of stdin"] * 6 == echo.server.texts
    assert {"text": "of stdin"} == report.options["data"]


def test_generator_says_when_it_was_the_limit() -> None:
    """At work, or for want of a core; not while it waits for answers."""
    assert "it was the limit" in str(Busyness(0.97, 1.1))
    assert "it was the limit" in str(Busyness(0.5, 0.6, 0.45))
    assert "limit" not in str(Busyness(0.5, 0.6, 0.1))


def test_generator_knows_how_busy_it_was() -> None:
    """A thread that only works is busy, or waits for a core."""
    clock = BusyClock()
    ends_at = time.perf_counter() + 0.3
    while time.perf_counter() < ends_at:
        pass
    assert clock.read().was_the_limit
    clock = BusyClock()
    time.sleep(0.3)
    assert clock.read().loop < 0.5


@contextmanager
def _held_port() -> Iterator[str]:
    """An address where nobody answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


async def test_command_that_is_interrupted_still_writes_its_report(
    echo: Echo, tmp_path: Path
) -> None:
    """Ctrl-C ends it: "cancel", open calls are cut off. And: -b, -o, and how busy it was."""
    out = tmp_path / "report.json"
    echo.server.called.clear()
    words = ["--insecure", "--call", f"{NAME}/Say", "-c2", "-Ojson", f"-o{out}", "-b"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ops.cli", "ghz", *words, echo.address),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(echo.message(text="b", delay_ms=60_000))
    process.stdin.write_eof()
    async with asyncio.timeout(120):
        await echo.server.called.wait()
        process.send_signal(signal.SIGINT)
        said, complained = await process.communicate()
    assert (0, b"") == (process.returncode, said), complained
    assert b"generator: event loop" in complained
    told = json.loads(out.read_text())
    assert ("cancel", {"Unavailable": 2}) == (told["endReason"], told["statusCodeDistribution"])
    assert told["options"]["binary"]


async def test_command_that_cannot_be_done_exits_2() -> None:
    """With one sentence on stderr."""
    ran = await run_kuji("ghz", "--nope", "localhost:1")
    assert (2, "") == ran[:2]
    assert "ghz has no option --nope" in ran[2]


async def test_server_that_is_not_there_fails_each_call(echo: Echo) -> None:
    """And the run still ends with a report."""
    with _held_port() as dead:
        report = await echo.ghz("--proto", str(PROTO), "-d{}", dead)
    assert {"Unavailable": 6} == _statuses(report)


async def test_reflection_is_not_waited_for_longer_than_connect_timeout() -> None:
    """A server that takes connections and says nothing."""
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    words = ["--insecure", "--call", "a.B/C", "--connect-timeout=500ms", f"127.0.0.1:{port}"]
    options = checked(read_options(words))
    async with silent:
        with pytest.raises(OperatorError, match="reflection: "):
            await run(options)
