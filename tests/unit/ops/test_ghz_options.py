"""ghz's options: each is a flag and a name in a file, as docs/ghz.md lists them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OperatorError
from ops.ghz.call_data import FIELDS
from ops.ghz.checks import checked
from ops.ghz.command_line import read_options
from ops.ghz.notation import duration_text, parse_bytes, parse_duration
from ops.ghz.options import OPTIONS, GhzOptions, OptionKind
from ops.ghz.templates.catalog import FUNCTIONS
from stack.processes import ROOT

DOCUMENT = (ROOT / "docs" / "ghz.md").read_text()
CALL = ["--insecure", "--call", "a.B/C", "localhost:1"]

# What is given as a flag, the same as JSON in a file, and what is meant.
EXAMPLES: dict[OptionKind, tuple[str, Any, Any]] = {
    OptionKind.TEXT: ("a", "a", "a"),
    OptionKind.FLAG: ("true", True, True),
    OptionKind.COUNT: ("3", 3, 3),
    OptionKind.NUMBER: ("-3", -3, -3),
    OptionKind.DURATION: ("1m30s", "1m30s", 90_000_000_000),
    OptionKind.SIZE: ("42 MB", "42 MB", 42_000_000),
    OptionKind.LIST: ("a,b", ["a", "b"], ("a", "b")),
    OptionKind.TABLE: ('{"a":"b"}', {"a": "b"}, {"a": "b"}),
    OptionKind.JSON: ('[{"a":1}]', [{"a": 1}], [{"a": 1}]),
}


def _rows(title: str) -> list[list[str]]:
    table = DOCUMENT.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def _file(folder: Path, text: str, name: str = "config.json") -> str:
    path = folder / name
    path.write_text(text)
    return f"--config={path}"


def test_document_lists_every_option_and_nothing_else() -> None:
    """A row for each option, with its short flag and where it may stand."""
    listed = {
        row[0].strip("`").removeprefix("--"): (row[1].strip("`").removeprefix("-"), row[2], row[3])
        for row in _rows("Options")
    }
    places = {(True, True): "flag, file", (True, False): "flag", (False, True): "argument, file"}
    known = {
        option.name: (option.short, places[option.as_flag, option.in_file], "yes")
        for option in OPTIONS.values()
    }
    assert listed == known | {"config": ("", "flag", "yes")}


def test_document_lists_every_function_and_field_of_templates() -> None:
    """What a template may call and read."""
    named = {word for row in _rows("Templates") for word in re.findall(r"`\.?(\w+)`", row[1])}
    assert set(FUNCTIONS) | set(FIELDS) == named


@pytest.mark.parametrize("attribute", [a for a in OPTIONS if OPTIONS[a].as_flag])
def test_option_means_the_same_as_a_flag_and_in_each_kind_of_file(
    attribute: str, tmp_path: Path
) -> None:
    """Long flag, short flag, JSON, TOML and YAML."""
    option = OPTIONS[attribute]
    flag, in_file, meant = EXAMPLES[option.kind]
    if option.choices:
        flag = in_file = meant = option.choices[-1]
    ways = [[f"--{option.name}={flag}"], [f"-{option.short}{flag}"] * bool(option.short)]
    if option.in_file:
        text = json.dumps({option.name: in_file})
        ways += [[_file(tmp_path, text)], [_file(tmp_path, text, "c.yaml")]]
        if not isinstance(in_file, (dict, list)) or option.kind is OptionKind.LIST:
            line = f'"{option.name}" = {json.dumps(in_file)}'
            ways.append([_file(tmp_path, line, "c.toml")])
    for way in ways:
        if way:
            assert meant == getattr(read_options([*way, *CALL[-1:]]), attribute), way


def test_flag_wins_when_a_file_names_the_option_too(tmp_path: Path) -> None:
    """The rest of the file holds; what neither names has the default of a file."""
    config = _file(tmp_path, '{"total": 5, "concurrency": 2, "Host": "h:1", "timeout": "0s"}')
    read = read_options([config, "-n", "7"])
    assert (7, 2, "h:1") == (read.total, read.concurrency, read.host)
    assert (20_000_000_000, 1, 0) == (read.timeout, read.concurrency_start, read.concurrency_step)


def test_defaults_are_those_of_ghz() -> None:
    """200 calls, 50 workers, 20 s, one connection, no limit of the rate."""
    read = read_options(CALL)
    expected = GhzOptions(host="localhost:1", call="a.B/C", insecure=True)
    assert expected == read
    assert (200, 50, 1, 0) == (read.total, read.concurrency, read.connections, read.rps)
    assert ("20s", "10s") == (duration_text(read.timeout), duration_text(read.connect_timeout))
    assert ("const", "const", "close", "summary") == (
        read.load_schedule,
        read.concurrency_schedule,
        read.duration_stop,
        read.format,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--foo", "1"], "ghz has no option --foo"),
        (["--foo=1"], "ghz has no option --foo=1"),
        (["-q", "1"], "ghz has no option -q"),
        (["--tota", "1"], "ghz has no option --tota"),
        (["-n", "many"], "total: a whole number is wanted"),
        (["-n", "-1"], "total: -1 is negative"),
        (["-t", "5"], 'timeout: "5" is not a duration'),
        (["-O", "xml"], 'format: "xml" is none of summary, csv, json'),
        (["--load-schedule", "up"], "load-schedule"),
        (["-d", "{"], "data is not JSON"),
        (["-d", "[]"], "data: an object or a list of objects is wanted"),
        (["-m", '{"a":1}'], "metadata: an object of texts is wanted"),
        (["--max-recv-message-size", "big"], "max-recv-message-size"),
        (["--config", "/nowhere.json"], "/nowhere.json"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: list[str], sentence: str) -> None:
    """One sentence that names the option."""
    with pytest.raises(OperatorError, match=re.escape(sentence)):
        read_options([*arguments, *CALL])


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ('{"foo": 1}', "c.json", 'ghz has no option "foo"'),
        ('{"binary": true}', "c.json", 'ghz has no option "binary"'),
        ("foo = 1", "c.toml", 'ghz has no option "foo"'),
        ("foo: 1", "c.yml", 'ghz has no option "foo"'),
        ('{"total": "1.5"}', "c.json", "total: a whole number"),
        ('{"insecure": 3}', "c.json", "insecure: true or false"),
        ("{", "c.json", "cannot be read"),
        ("a: [", "c.yaml", "cannot be read"),
        ("[]", "c.json", "holds no options"),
    ],
)
def test_file_that_says_what_ghz_does_not_know_is_refused(
    text: str, name: str, sentence: str, tmp_path: Path
) -> None:
    """ghz itself would go on without it."""
    with pytest.raises(OperatorError, match=re.escape(sentence)):
        read_options([_file(tmp_path, text, name), *CALL])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--connections", "51"], "connections cannot be greater than concurrency"),
        (["--skipFirst", "201"], "skipFirst"),
        (["-n", "0"], "total has to be 1 or more"),
        (["-c", "30000"], "concurrency: 30000 workers are more than"),
        (["--load-schedule", "step", "--load-start", "5"], "load-step cannot be 0"),
        (["--load-schedule=line", "--load-start=5", "--load-end=5"], "cannot be equal"),
        (["--load-schedule=line", "--load-end=5", "--load-step=1"], "load-start has to be 1"),
        (
            ["--concurrency-schedule=step", "--concurrency-start=1"],
            "concurrency-step-duration cannot be 0",
        ),
        (
            ["--load-schedule=line", "--load-start=5", "--load-step=-1"],
            "load-step falls for ever",
        ),
        (["--proto", "a.txt"], "proto: a.txt does not end in .proto"),
        (["--cert", "a.pem"], "cert and key belong together"),
        (["--lb-strategy", "best"], 'lb-strategy: "best" is none of'),
        (["--stream-dynamic-messages", "-B", "x"], "cannot go with binary data"),
    ],
)
def test_options_that_cannot_be_together_are_refused(arguments: list[str], sentence: str) -> None:
    """Before anything is sent."""
    with pytest.raises(OperatorError, match=re.escape(sentence)):
        checked(read_options([*arguments, *CALL]))


def test_call_and_host_are_required() -> None:
    """Nothing can be sent without."""
    with pytest.raises(OperatorError, match="call is required"):
        checked(read_options(["h:1"]))
    with pytest.raises(OperatorError, match="host is required"):
        checked(read_options(["--call", "a.B/C"]))


def test_duration_lifts_the_limit_on_calls_and_max_duration_does_not() -> None:
    """-z ignores -n; -x is another end."""
    assert 2**31 - 1 == checked(read_options([*CALL, "-z", "1s", "-n", "3"])).total
    both = checked(read_options([*CALL, "-x", "1s", "-n", "3"]))
    assert (3, 1_000_000_000) == (both.total, both.duration)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0", 0), ("1.5s", 1_500_000_000), ("1h0m3.5s", 3_603_500_000_000), ("2µs", 2_000)],
)
def test_duration_reads_as_go_writes_it(text: str, ns: int) -> None:
    """There and back."""
    assert ns == parse_duration(text)
    assert (text if ns else "0s") == duration_text(ns)


def test_size_is_of_thousands_or_of_1024() -> None:
    """As humanize has it."""
    sizes = ("42", "42 MB", "4MiB", "1.5k", "1,000")
    assert [42, 42_000_000, 4_194_304, 1500, 1000] == [parse_bytes(size) for size in sizes]
