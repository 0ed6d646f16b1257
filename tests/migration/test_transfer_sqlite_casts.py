"""SQLite's CAST makes 0 of what is no number: a cast that a transfer is asked for takes a value or refuses it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled


def moved(home: Path, value: str, type_: str) -> str | None:
    """What becomes of a value of an undeclared kind, as the target's text."""
    with closing(sqlite3.connect(home / "s.sqlite")) as source:
        source.execute("CREATE TABLE t (v BLOB)")  # no affinity: a value stays what it is
        source.execute(f"INSERT INTO t VALUES ({value})")
        source.commit()
    ends = [
        connect(datasource("s", "sqlite", {"path": str(home / "s.sqlite")})),
        connect(datasource("d", "duckdb", {"path": str(home / "d.duckdb"), "role": "read_write"})),
    ]
    options = TransferOptions.from_pairs([("cast", f"v AS {type_}")])
    run(plan(TransferRequest(Source(path=("t",)), ("main", "t"), options=options), *ends))
    with duckdb.connect(str(home / "d.duckdb")) as target:
        found: list[tuple[str | None]] = target.execute("SELECT v::VARCHAR FROM t").fetchall()
    return found[0][0]


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("'14'", "integer", "14"),
        ("'-9223372036854775808'", "bigint", "-9223372036854775808"),
        ("12.0", "integer", "12"),
        ("'1e3'", "double", "1000.0"),
        ("3", "double", "3.0"),
        ("1", "boolean", "true"),
        ("'false'", "boolean", "false"),
        ("'12.50'", "decimal(5,2)", "12.50"),
        ("'2024-02-29'", "date", "2024-02-29"),
        ("5", "varchar", "5"),
        ("NULL", "integer", None),
    ],
)
def test_a_value_of_the_type_moves(tmp_path: Path, value: str, type_: str, expected: str | None) -> None:
    assert moved(tmp_path, value, type_) == expected


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("'v14x'", "integer"),
        ("'12.7'", "integer"),
        ("12.7", "integer"),
        ("'9223372036854775808'", "bigint"),
        ("'1_0'", "integer"),
        ("'1_0'", "decimal(5,2)"),
        ("'１２'", "integer"),
        ("'x'", "double"),
        ("9007199254740993", "double"),
        ("'yes'", "boolean"),
        ("2", "boolean"),
        ("'12.345'", "decimal(5,2)"),
        ("'2024-02-30'", "date"),
    ],
)
def test_any_other_value_is_refused(tmp_path: Path, value: str, type_: str) -> None:
    with pytest.raises(MigrationError) as refusal:
        moved(tmp_path, value, type_)
    assert (refusal.value.sqlstate, refusal.value.column) == ("HV004", "v")
