"""Each pair in ``fixtures/``: the first statement becomes the second, and the second runs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from proxy.sql import rules
from proxy.sql.prepare import prepare
from proxy.sql.split import split

DIRECTORY = Path(__file__).parent / "fixtures"


def _pairs() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(DIRECTORY.glob("*.sql")):
        for block in path.read_text(encoding="utf-8").split("-- title: ")[1:]:
            title, _, text = block.partition("\n")
            given, expected = (source.text for source in split(text))
            found.append((f"{path.stem}: {title}", given, expected))
    return found


PAIRS = _pairs()


@pytest.mark.parametrize(("title", "given", "expected"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_pair(title: str, given: str, expected: str, duck: duckdb.DuckDBPyConnection) -> None:
    tree = prepare(given).tree
    assert tree is not None
    assert tree.sql("duckdb") == expected
    duck.execute(expected).fetchall()


def test_every_rule_has_fixtures() -> None:
    assert {rule.__name__ for rule in rules.RULES} <= {path.stem for path in DIRECTORY.glob("*.sql")}
