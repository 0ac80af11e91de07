"""Templates mean what Go's text/template and sprig mean by them."""

import re
from typing import Any

import pytest

from ops.errors import OperatorError
from ops.ghz.templates.catalog import FUNCTIONS
from ops.ghz.templates.errors import TemplateError
from ops.ghz.templates.evaluator import Template
from ops.ghz.templates.standard import STANDARD
from tests.support.ghz.facts import fact

DATA: dict[str, object] = {"RequestNumber": 7, "WorkerID": "g0c0", "MethodName": "Say"}


def _applied(source: str) -> str:
    return Template(source, FUNCTIONS).apply(DATA)


@pytest.mark.parametrize(("source", "told"), fact("templates.json").items())
def test_template_gives_what_go_gives(source: str, told: dict[str, Any]) -> None:
    """The same text, or an error where Go has one."""
    if told.get("error"):
        with pytest.raises(TemplateError):
            _applied(source)
    else:
        assert told["text"] == _applied(source)


def test_every_function_was_compared_with_go_or_is_left_to_chance_and_time() -> None:
    """A function that nobody held against sprig is found here."""
    compared = " ".join(fact("templates.json"))
    by_chance = {name for name, function in FUNCTIONS.items() if not function.is_pure}
    left = {name for name in FUNCTIONS if name not in compared}
    assert left <= by_chance | {"sha512sum", "date_modify"}, left - by_chance


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        ("{{newUUID}}", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("{{uuidv4}}", r"[0-9a-f-]{36}"),
        ("{{randomString 8}}", r"[a-zA-Z0-9]{8}"),
        ("{{randomString 0}}", r"[a-zA-Z0-9]{2,16}"),
        ("{{randomInt 5 7}}", "[56]"),
        ("{{randInt 5 7}}", "[56]"),
        ("{{randAlphaNum 5}}", r"[a-zA-Z0-9]{5}"),
        ("{{randAlpha 5}}", r"[a-zA-Z]{5}"),
        ("{{randNumeric 5}}", r"\d{5}"),
        ("{{randAscii 5}}", r"[ -~]{5}"),
        ("{{shuffle `abc`}}", r"[abc]{3}"),
        ("{{now | date `2006-01-02`}}", r"\d{4}-\d\d-\d\d"),
        ("{{htmlDate now}}", r"\d{4}-\d\d-\d\d"),
        ("{{now | unixEpoch}}", r"\d{10}"),
        ("{{now | dateModify `-90s` | ago}}", r"1m30s"),
        ("{{sha512sum `a`}}", r"1f40fc92da24[0-9a-f]{116}"),
    ],
)
def test_chance_and_time_give_what_fits(source: str, pattern: str) -> None:
    """Anew each time it is applied."""
    template = Template(source, FUNCTIONS)
    for _ in range(20):
        assert re.fullmatch(pattern, template.apply(DATA))


def test_template_is_applied_only_when_an_action_stands_outside_of_branches() -> None:
    """As ghz has it."""
    assert Template("a {{.RequestNumber}}", FUNCTIONS).has_action
    assert not Template("{{if true}}{{.RequestNumber}}{{end}}", FUNCTIONS).has_action
    assert not Template("plain", FUNCTIONS).has_action


@pytest.mark.parametrize(
    "source",
    [
        "{{define `a`}}{{end}}",
        "{{env `HOME`}}",
        "{{randomInt `1` 2}}",
        "{{randomInt 5 5}}",
        "{{randomString 2000000}}",
        "{{until 2000000}}",
        "{{repeat 2000000 `a`}}",
        "{{upper}}",
        "{{1 2}}",
        "{{.RequestNumber.Field}}",
        "{{$x}}",
        "{{",
        "{{(1}}",
        "{{#}}",
        "{{else}}",
    ],
)
def test_template_that_cannot_be_applied_says_so_in_a_sentence(source: str) -> None:
    """No traceback, and nothing without bounds."""
    with pytest.raises(OperatorError, match="template"):
        _applied(source)


def test_functions_can_be_disabled() -> None:
    """Go's own stay, as with ghz."""
    assert "3" == Template("{{len `abc`}}", STANDARD).apply(DATA)
    with pytest.raises(TemplateError, match='function "newUUID" not defined'):
        Template("{{newUUID}}", STANDARD)
