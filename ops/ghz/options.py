"""The options of ghz 0.121: each once, with its flag, its name in a file and its defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

FORMATS = (
    "summary",
    "csv",
    "json",
    "pretty",
    "html",
    "influx-summary",
    "influx-details",
    "prometheus",
)
SCHEDULES = ("const", "step", "line")
DURATION_STOPS = ("close", "wait", "ignore")


class OptionKind(Enum):
    """What the value of an option is."""

    TEXT = "text"
    FLAG = "flag"
    COUNT = "count"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    LIST = "list"
    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Option:
    """
    One option.

    Attributes:
        name: Of the flag, and in a file.
        in_file: Whether a file may hold it.
        as_flag: Whether it is a flag; the host is the one argument instead.
        file_default: What holds where a file is read that does not name it, if not the default.
    """

    name: str
    kind: OptionKind
    short: str = ""
    choices: tuple[str, ...] = ()
    in_file: bool = True
    as_flag: bool = True
    file_default: Any = None
    help: str = ""


def _option(default: Any, name: str, kind: OptionKind, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(name, kind, **more)})


def _text(name: str, default: str = "", **more: Any) -> Any:
    return _option(default, name, OptionKind.TEXT, **more)


def _count(name: str, default: int = 0, **more: Any) -> Any:
    return _option(default, name, OptionKind.COUNT, **more)


def _duration(name: str, default_s: int = 0, **more: Any) -> Any:
    return _option(default_s * 1_000_000_000, name, OptionKind.DURATION, **more)


def _flag(name: str, **more: Any) -> Any:
    return _option(False, name, OptionKind.FLAG, **more)


def _table(name: str, **more: Any) -> Any:
    return _option(None, name, OptionKind.TABLE, **more)


@dataclass(frozen=True)
class GhzOptions:
    """What a run is to do; durations in nanoseconds, sizes in bytes (0: as large as may be)."""

    host: str = _text("host", as_flag=False, help="Host and port to test.")

    proto: str = _text("proto", help="The .proto file; without it and --protoset: reflection.")
    protoset: str = _text("protoset", help="The compiled protoset file.")
    call: str = _text("call", help="The method: package.Service/Method or package.Service.Method.")
    import_paths: tuple[str, ...] = _option(
        (), "import-paths", OptionKind.LIST, short="i", help="Where imports are, by commas."
    )

    cacert: str = _text("cacert", help="Root certificates that the server is checked by.")
    cert: str = _text("cert", help="Client certificate; with --key.")
    key: str = _text("key", help="Private key of the client certificate.")
    cname: str = _text("cname", help="Name that the server's certificate has to have.")
    skip_tls: bool = _flag("skipTLS", help="Do not check the server's certificate.")
    insecure: bool = _flag("insecure", help="Plain text instead of TLS.")
    authority: str = _text("authority", help="The :authority header.")

    asynchronous: bool = _flag("async", help="Do not wait for an answer before the next call.")
    rps: int = _count("rps", short="r", help="Calls a second of a constant load; 0: no limit.")
    load_schedule: str = _text("load-schedule", "const", choices=SCHEDULES, help="Of the rate.")
    load_start: int = _count("load-start", help="Calls a second at the start.")
    load_step: int = _option(0, "load-step", OptionKind.NUMBER, help="By how much they change.")
    load_end: int = _count("load-end", help="Calls a second at the end.")
    load_step_duration: int = _duration("load-step-duration", help="How long a step lasts.")
    load_max_duration: int = _duration("load-max-duration", help="How long the rate changes.")

    concurrency: int = _count("concurrency", 50, short="c", help="Workers.")
    concurrency_schedule: str = _text(
        "concurrency-schedule", "const", choices=SCHEDULES, help="Of the workers."
    )
    concurrency_start: int = _count("concurrency-start", file_default=1, help="Workers at first.")
    concurrency_end: int = _count("concurrency-end", help="Workers at the end.")
    concurrency_step: int = _option(
        1, "concurrency-step", OptionKind.NUMBER, file_default=0, help="By how many they change."
    )
    concurrency_step_duration: int = _duration(
        "concurrency-step-duration", help="How long a step lasts."
    )
    concurrency_max_duration: int = _duration(
        "concurrency-max-duration", help="How long their number changes."
    )

    total: int = _count("total", 200, short="n", help="Calls to make.")
    timeout: int = _duration("timeout", 20, short="t", help="Of a call; 0: none.")
    duration: int = _duration("duration", short="z", help="How long to call, whatever --total.")
    max_duration: int = _duration("max-duration", short="x", help="How long to call at most.")
    duration_stop: str = _text(
        "duration-stop", "close", choices=DURATION_STOPS, help="What becomes of open calls then."
    )

    data: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = _option(
        None, "data", OptionKind.JSON, short="d", help="The data, as JSON; @: stdin."
    )
    data_file: str = _text("data-file", short="D", help="File with the data.")
    binary: bool = _flag("binary", short="b", in_file=False, help="Serialized data from stdin.")
    binary_file: str = _text("binary-file", short="B", help="File with serialized data.")
    metadata: Mapping[str, str] | None = _table("metadata", short="m", help="Metadata, as JSON.")
    metadata_file: str = _text("metadata-file", short="M", help="File with metadata, as JSON.")
    stream_interval: int = _duration("stream-interval", help="Between messages of a stream.")
    stream_call_duration: int = _duration("stream-call-duration", help="Of a stream, at most.")
    stream_call_count: int = _count("stream-call-count", help="Messages of a stream, at most.")
    stream_dynamic_messages: bool = _flag(
        "stream-dynamic-messages", help="Apply templates anew for each message of a stream."
    )
    reflect_metadata: Mapping[str, str] | None = _table(
        "reflect-metadata", help="Metadata for reflection alone, as JSON."
    )

    output: str = _text("output", short="o", help="File for the report; without it: stdout.")
    format: str = _text("format", "summary", short="O", choices=FORMATS, help="Of the report.")
    skip_first: int = _count("skipFirst", help="Answers at first that do not count.")
    count_errors: bool = _flag("count-errors", help="Failures count in the latencies.")

    connections: int = _count("connections", 1, help="Connections to use.")
    connect_timeout: int = _duration("connect-timeout", 10, help="Of a connection's making.")
    keepalive: int = _duration("keepalive", help="Time between keepalives; 0: none.")

    name: str = _text("name", help="Name of the test.")
    tags: Mapping[str, str] | None = _table("tags", help="Tags, as JSON.")
    cpus: int = _count("cpus", help="Cores to use; 0: all.")
    debug: str = _text("debug", help="File for a debug log.")
    enable_compression: bool = _flag("enable-compression", short="e", help="Send gzip.")
    lb_strategy: str = _text("lb-strategy", help="Client load balancing strategy.")
    max_recv_message_size: int = _option(
        0, "max-recv-message-size", OptionKind.SIZE, help="Largest message that is taken."
    )
    max_send_message_size: int = _option(
        0, "max-send-message-size", OptionKind.SIZE, help="Largest message that is sent."
    )
    disable_template_functions: bool = _flag(
        "disable-template-functions", help="No functions in templates."
    )
    disable_template_data: bool = _flag("disable-template-data", help="No templates.")


# Attribute of GhzOptions -> its option, in the order of ghz's help.
OPTIONS: Mapping[str, Option] = {each.name: each.metadata["option"] for each in fields(GhzOptions)}
