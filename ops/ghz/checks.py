"""What options must be before a run begins; each refusal is a sentence that names the option."""

from collections.abc import Iterator
from dataclasses import replace

from ops.errors import OperatorError
from ops.ghz.options import GhzOptions

MOST_WORKERS = 20_000
MOST_CALLS = 2**31 - 1
_STRATEGIES = ("pick_first", "round_robin", "weighted_round_robin")


def checked(options: GhzOptions) -> GhzOptions:
    """
    The options as they hold: a duration lifts the limit on calls.

    Raises:
        OperatorError: They cannot be, or cannot be together.
    """
    for problem in _problems(options):
        raise OperatorError(problem)
    if options.max_duration:
        return replace(options, duration=options.max_duration)
    return replace(options, total=MOST_CALLS) if options.duration else options


def _problems(options: GhzOptions) -> Iterator[str]:
    if not options.call:
        yield "call is required: package.Service/Method"
    if not options.host:
        yield "host is required: host:port"
    yield from _sizes(options)
    yield from _schedules(options)
    yield from _standstill(options)
    yield from _files(options)


def _sizes(options: GhzOptions) -> Iterator[str]:
    if options.connections > options.concurrency:
        yield "connections cannot be greater than concurrency"
    if options.connections == 0:
        yield "connections has to be 1 or more"
    largest = max(options.concurrency, options.concurrency_start, options.concurrency_end)
    if largest > MOST_WORKERS:
        yield f"concurrency: {largest} workers are more than {MOST_WORKERS}"
    if options.total == 0 and not options.duration:
        yield "total has to be 1 or more, where there is no duration"
    if options.total > MOST_CALLS:
        yield f"total: {options.total} calls are more than {MOST_CALLS}"
    if not options.duration and options.skip_first > options.total:
        yield "skipFirst: more calls would be skipped than made"


def _schedules(options: GhzOptions) -> Iterator[str]:
    for what, schedule, start, end, step, step_ns in (
        (
            "load",
            options.load_schedule,
            options.load_start,
            options.load_end,
            options.load_step,
            options.load_step_duration,
        ),
        (
            "concurrency",
            options.concurrency_schedule,
            options.concurrency_start,
            options.concurrency_end,
            options.concurrency_step,
            options.concurrency_step_duration,
        ),
    ):
        if schedule == "const":
            continue
        if start == end:
            yield f"{what}-start and {what}-end cannot be equal"
        if start == 0:
            yield f"{what}-start has to be 1 or more"
        if step == 0:
            yield f"{what}-step cannot be 0"
        if schedule == "step" and step_ns == 0:
            yield f"{what}-step-duration cannot be 0"


def _standstill(options: GhzOptions) -> Iterator[str]:
    is_falling = options.load_schedule != "const" and options.load_step < 0
    ends = (options.load_end, options.load_max_duration, options.duration, options.max_duration)
    if is_falling and not any(ends):
        yield "load-step falls for ever: load-end, load-max-duration or duration is wanted"


def _files(options: GhzOptions) -> Iterator[str]:
    if options.proto and not options.proto.endswith(".proto"):
        yield f"proto: {options.proto} does not end in .proto"
    if bool(options.cert) != bool(options.key):
        yield "cert and key belong together"
    if options.lb_strategy and options.lb_strategy not in _STRATEGIES:
        yield f'lb-strategy: "{options.lb_strategy}" is none of {", ".join(_STRATEGIES)}'
    if options.stream_dynamic_messages and (options.binary or options.binary_file):
        yield "stream-dynamic-messages cannot go with binary data"
