"""The tables of docs/errors.md: every reason, and which call can give which."""

from collections.abc import Iterable, Iterator

from google.rpc.code_pb2 import Code
from kuji.common.v1.error_reason_pb2 import ErrorReason

from protos.services import all_rpcs, route_of
from services.common.contract import facts_of, stated_reasons_of

_START = "<!-- {}: made by `make proto` -->"
_END = "<!-- end of {} -->"


def with_tables(page: str) -> str:
    """*page* with its tables as the protos have it."""
    for name, table in (("reasons", _reasons()), ("calls", _calls())):
        before, start, rest = page.partition(_START.format(name))
        _, end, after = rest.partition(_END.format(name))
        if not end:
            raise ValueError(f"docs/errors.md has no place for the table of {name}")
        page = "".join([before, start, "\n\n", *(f"{row}\n" for row in table), "\n", end, after])
    return page


def _name(reason: ErrorReason.ValueType) -> str:
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def _reasons() -> Iterator[str]:
    yield "| reason | HTTP | gRPC | metadata | what to do |"
    yield "|---|---|---|---|---|"
    known = [reason for reason in ErrorReason.values() if reason]
    for reason in sorted(known, key=lambda one: (facts_of(one).http, one)):
        facts = facts_of(reason)
        code, metadata = Code.Name(facts.code), ", ".join(facts.metadata)
        yield f"| {_name(reason)} | {facts.http} | {code} | {metadata} | {facts.action} |"


def _calls() -> Iterator[str]:
    yield "| RPC | route | reasons |"
    yield "|---|---|---|"
    for rpc in all_rpcs():
        reasons = stated_reasons_of(rpc)
        if reasons:
            service = rpc.containing_service.name.removesuffix("Service")
            route = route_of(rpc)
            yield f"| {service}.{rpc.name} | {route or ''} | {_listed(reasons)} |"


def _listed(reasons: Iterable[ErrorReason.ValueType]) -> str:
    return ", ".join(_name(reason) for reason in reasons)
