"""The same text on PostgreSQL and, translated, on DuckDB: the same column names and values."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from typing import Any

import corpus
import duckdb
import psycopg
import pytest

from branching.errors import BoughError
from proxy.sql.operators import with_operators
from proxy.sql.prepare import prepare
from proxy.sql.split import split

# Differences that docs/dialect.md tells about. Each must still differ: else the page is wrong.
KNOWN: dict[str, str] = {}


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, Decimal)):
        return Decimal(value).normalize() + 0
    if isinstance(value, float):
        return (
            "NaN"
            if math.isnan(value)
            else value
            if math.isinf(value)
            else round(Decimal(str(value)), 12).normalize()
        )
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(datetime.UTC)
    if isinstance(value, str) and value[:1] in '{["':
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return json.dumps(parsed, sort_keys=True) if isinstance(parsed, dict) else _plain(parsed)
    return value


@pytest.fixture(scope="module")
def tables(duck: duckdb.DuckDBPyConnection, postgres: psycopg.Connection) -> None:
    for source in split(corpus.SETUP):
        postgres.execute(source.text.encode())
        tree = prepare(source).tree
        assert tree is not None
        duck.execute(tree.sql("duckdb"))


@pytest.mark.postgres
@pytest.mark.parametrize("text", corpus.queries())
def test_same_as_postgres(
    text: str, tables: None, duck: duckdb.DuckDBPyConnection, postgres: psycopg.Connection
) -> None:
    cursor = postgres.execute(text.encode())
    assert cursor.description is not None
    expected = [[_plain(value) for value in row] for row in cursor.fetchall()]
    try:
        tree = prepare(text).tree
        assert tree is not None
        tree = with_operators(tree, lambda _schema, _name: None) or tree
        sql = tree.sql("duckdb")
        result = duck.execute(sql)
    except (BoughError, duckdb.Error) as error:
        if text in KNOWN:
            return
        raise AssertionError(f"{error!r}") from error
    json_columns = [str(column[1]) == "JSON" for column in result.description]
    got = [
        [
            _plain(json.loads(value) if is_json and value is not None else value)
            for value, is_json in zip(row, json_columns, strict=True)
        ]
        for row in result.fetchall()
    ]
    names = [column[0] for column in result.description]
    same = (got, names) == (expected, [column.name for column in cursor.description])
    if text in KNOWN:
        assert not same, "no longer a difference: take it out of KNOWN and docs/dialect.md"
    else:
        assert got == expected, sql
        assert names == [column.name for column in cursor.description], sql
