"""The demo's command line."""

import pytest
import typer
from typer.testing import CliRunner

from demo.__main__ import demo


@pytest.mark.parametrize(
    "arguments",
    [["--prizes", "5"], ["--users", "0"], ["--draws", "x"], ["--parts", "boxes,opera"]],
)
def test_command_exits_2_when_an_option_is_unfit(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error is named, and starts nothing."""
    monkeypatch.delattr("demo.__main__.own_stack")
    app = typer.Typer()
    app.command()(demo)
    ended = CliRunner().invoke(app, arguments)
    assert (2, True) == (ended.exit_code, arguments[0] in ended.output), ended.output
