"""SQLite's messages have the SQLSTATE of what they say, whatever names stand in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from migration.connectors import connect
from migration.datasources.datasource import datasource
from migration.errors import MigrationError

TABLES = """
CREATE TABLE t (a INT PRIMARY KEY, b INT NOT NULL, c INT CHECK (c > 0), d INT UNIQUE);
CREATE TABLE "CHECK" (a);
"""


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("UPDATE t SET nope = 1", "42703"),
        ("INSERT INTO t (nope) VALUES (1)", "42703"),
        ("DELETE FROM UNIQUE_things", "HV00R"),
        ('INSERT INTO t SELECT 1 FROM "FOREIGN KEY"', "HV00R"),
        ("INSERT INTO t VALUES (1)", "42601"),
        ("INSERT INTO t (a, b) VALUES (1, NULL)", "23502"),
        ("INSERT INTO t (a, b) VALUES (1, 1), (1, 2)", "23505"),
        ("INSERT INTO t (a, b, c) VALUES (1, 1, -1)", "23514"),
        ('CREATE TABLE "CHECK" (a)', "42P07"),
        ("CREATE TABLE u (a, a)", "42701"),
        ("DELETE FROM t WHERE nosuch(a)", "42883"),
        ('INSERT INTO t (a) SELECT a FROM t, "CHECK"', "42702"),
    ],
)
def test_an_error_has_its_code(tmp_path: Path, statement: str, sqlstate: str) -> None:
    with sqlite3.connect(tmp_path / "e.sqlite") as made:
        made.executescript(TABLES)
    made.close()
    there = connect(datasource("lite", "sqlite", {"path": str(tmp_path / "e.sqlite"), "role": "read_write"}))
    with pytest.raises(MigrationError) as caught:
        there.execute(statement)
    assert caught.value.sqlstate == sqlstate, caught.value.message
