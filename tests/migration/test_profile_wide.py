"""A profile of many columns is asked for in pieces, and is the same."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Source
from migration.datasources.datasource import datasource
from migration.values import profile
from migration.values.profile import Question


@pytest.mark.parametrize("at_once", [1, 7])
def test_pieces_make_up_the_same_profile(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "wide.duckdb")
    names = [f"c{number}" for number in range(40)]
    with duckdb.connect(file) as connection:
        terms = ", ".join(
            f"CASE WHEN i > {index} THEN i / {index + 1} END AS {n}" for index, n in enumerate(names)
        )
        connection.execute(f"CREATE TABLE wide AS SELECT {terms} FROM range(50) AS t(i)")
        connection.execute("INSERT INTO wide (c3, c5) VALUES ('nan'::double, 'inf'::double)")
    connector = connect(datasource("here", "duckdb", {"path": file}))
    source = Source(path=("main", "wide"))
    with connector.reader() as reader:
        columns = [(column.name, column.type) for column in reader.describe(source)]
        questions = [
            Question(name, type_, guard) for name, type_ in columns for guard in ("no_null", "finite")
        ]
        whole = profile.take(reader, source, "duckdb", questions, columns)
        monkeypatch.setattr(profile, "_AT_ONCE", at_once)
        pieces = profile.take(reader, source, "duckdb", questions, columns)
    connector.close()
    assert repr(pieces) == repr(whole)  # a NaN equals nothing
    assert whole.rows == 51
    assert {finding.column for finding in whole.findings if finding.guard == "finite" and finding.count} == {
        "c3",
        "c5",
    }
