"""Nobody but services.common.outages says what an outage is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.processes import ROOT

# Names by which a second list would say what an outage is. One of them alone may be somebody's
# business: to look up a reason, or to put any error of a store into a sentence.
OUTAGES = {
    *("OSError", "ConnectionError", "TimeoutError", "ConnectionResetError", "gaierror"),
    *("PostgresError", "PostgresConnectionError", "InterfaceError", "InternalClientError"),
    *("OperatorInterventionError", "InsufficientResourcesError", "AdminShutdownError"),
    *("CannotConnectNowError", "TooManyConnectionsError", "ReadOnlySQLTransactionError"),
    *("RedisError", "RedisConnectionError", "BusyLoadingError", "ReadOnlyError"),
    *("AioRpcError", "RpcError", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"),
}
SOURCES = [
    file
    for folder in ("services", "stack", "ops", "demo")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file != ROOT / "services/common/outages.py"
]


def named(node: ast.AST) -> set[str]:
    """The last parts of the names within *node*."""
    attributes = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return attributes | {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def lists(tree: ast.AST) -> Iterator[set[str]]:
    """The names of each tuple, list, set, or union in *tree*."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield {name for element in node.elts for name in named(element)}
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            yield named(node)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_second_list_says_what_an_outage_is(file: Path) -> None:
    """Two or more of its names in one list are such a list: services.common.outages has it."""
    assert [] == [
        names & OUTAGES for names in lists(ast.parse(file.read_text())) if len(names & OUTAGES) > 1
    ]
