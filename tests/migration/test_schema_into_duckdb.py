"""A whole schema in a DuckDB file, again and again: no table is looked for by an old name, and all take a DELETE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.schema.transfer import requests, run_schema
from migration.transfer_model import TransferOptions, TransferResult

TABLES = ("customers", "bills", "items")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    with duckdb.connect(str(tmp_path / "source")) as made:
        made.execute(
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR UNIQUE, l INT[], f DOUBLE, i INTERVAL)"
        )
        made.execute("CREATE TABLE bills (id INT PRIMARY KEY, customer INT REFERENCES customers (id))")
        made.execute("CREATE TABLE items (id INT PRIMARY KEY, bill INT REFERENCES bills (id))")
        made.execute(
            "INSERT INTO customers SELECT n, 'n' || n, [n], 0.0, INTERVAL 1 MONTH FROM range(1, 101) AS r(n)"
        )
        made.execute("INSERT INTO bills SELECT n, n FROM range(1, 100) AS r(n)")
        made.execute("INSERT INTO items SELECT n, n FROM range(1, 50) AS r(n)")
    with closing(
        connect(datasource("source", "duckdb", {"path": str(tmp_path / "source"), "role": "read_write"}))
    ) as item:
        yield item


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    duckdb.connect(str(tmp_path / "target")).close()
    with closing(
        connect(datasource("target", "duckdb", {"path": str(tmp_path / "target"), "role": "read_write"}))
    ) as item:
        yield item


def moved(source: Connector, target: Connector) -> list[TransferResult]:
    return list(run_schema(requests("main", source, ("main",), TransferOptions()), source, target))


def rows(item: Connector, table: str) -> list[Any]:
    with item.reader() as reader:
        found = reader.fetch(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {table} ORDER BY id")
    return found.to_pylist()


def same(source: Connector, target: Connector) -> bool:
    return all(rows(source, table) == rows(target, table) for table in TABLES)


def test_a_schema_can_be_moved_again(source: Connector, target: Connector, tmp_path: Path) -> None:
    for _ in range(3):
        assert len(moved(source, target)) == len(TABLES)
        assert same(source, target)
    source.execute("DELETE FROM customers WHERE id = 100")
    source.execute("UPDATE customers SET f = -0.0 WHERE id = 7")
    source.execute("UPDATE customers SET i = INTERVAL 30 DAY WHERE id = 8")
    source.execute("INSERT INTO customers VALUES (200, 'new', NULL, NULL, NULL)")
    moved(source, target)
    assert same(source, target)
    source.close()
    target.close()
    with duckdb.connect(str(tmp_path / "target")) as plain:
        keys = plain.execute(
            "SELECT table_name, referenced_table FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY'"
        ).fetchall()
        assert sorted(keys) == [("bills", "customers"), ("items", "bills")]
        plain.execute("UPDATE customers SET name = 'other' WHERE id = 200")
        for table in reversed(TABLES):
            plain.execute(f"DELETE FROM {table}")
            plain.execute(f"DROP TABLE {table}")
        assert plain.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_a_new_table_is_refused_where_a_reference_has_no_row(source: Connector, target: Connector) -> None:
    moved(source, target)
    for table in ("items", "bills"):
        target.execute(f"DROP TABLE {table}")
    target.execute("DELETE FROM customers WHERE id = 3")
    items = [
        each for each in requests("main", source, ("main",), TransferOptions()) if each.target[-1] == "bills"
    ]
    with pytest.raises(Exception, match="foreign key") as refusal:
        list(run_schema(items, source, target))
    assert getattr(refusal.value, "sqlstate", None) == "23503"
    assert [entry.name for entry in target.tables()] == ["customers"]
