"""The code keeps to one word for a thing, see the table of words in docs/architecture.md."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def _classes() -> dict[str, list[str]]:
    places = defaultdict(list)
    for package in ("services", "ops"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    return places


def test_name_of_a_class_tells_what_it_is_when_it_stands_alone() -> None:
    """No two classes of the services and of the operators' tools have the same name."""
    places = _classes()
    assert len(places) > 300
    assert {} == {name: where for name, where in places.items() if len(where) > 1}


@pytest.mark.parametrize("column", [0, 2])
def test_word_is_in_the_code_when_the_table_of_words_names_it(column: int) -> None:
    """A class or file that the table names exists."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.split("## Words\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
    named = [word for row in rows[1:] for word in row[column].split("`")[1::2]]
    assert len(named) > 5
    if column == 0:
        assert [] == [word for word in named if word not in _classes()]
    else:
        files = {str(path.relative_to(ROOT)) for path in (ROOT / "services").rglob("*")}
        assert [] == [
            word for word in named if not any(file.endswith(word.rstrip("/")) for file in files)
        ]
