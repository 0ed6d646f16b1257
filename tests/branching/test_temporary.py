"""Temporary tables whose rows have identities at once, and what becomes of these; on main and on a branch alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import branches, names, temporary
from branching.connection import Connection
from branching.model import DEFAULT_SCHEMA, Table

ROWS = 5_000

pytestmark = pytest.mark.sampled


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


@pytest.fixture(params=["main", "branch"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A block on a database with tables that rows come into, and a staging table with rows for them."""
    database = branching.open(tmp_path / "d.duckdb")
    setup = database.connect()
    setup.execute(sql("CREATE TABLE t (id INTEGER, name VARCHAR DEFAULT 'none', v INTEGER)"))
    setup.execute(sql("INSERT INTO t VALUES (-1, 'before', 0)"))
    setup.close()
    if request.param == "branch":
        branches.create(database, "branch", "main", role="me")
    made = database.connect(request.param)
    made.begin()
    made.execute(sql("CREATE TEMP TABLE staged (id INTEGER, v INTEGER)"))
    temporary.identify(made, "staged")
    made.execute(sql(f"INSERT INTO staged (id, v) SELECT i, i % 7 FROM range({ROWS}) AS r(i)"))
    yield made
    made.close()
    database.close()


def inserted(connection: Connection, text: str) -> int | None:
    tree = sql(text)
    assert isinstance(tree, exp.Insert)
    return connection.execute(temporary.identified(tree)).rowcount


def identities(connection: Connection) -> dict[int, int]:
    """By ``id``, the identity of each row of ``t`` as the branch sees it."""
    scope = connection.scope()
    table = scope.catalog.find(DEFAULT_SCHEMA, "t")
    assert isinstance(table, Table)
    visible = scope.relation_sql(table, scope.line, hidden=True)
    found = connection.cursor.query(f"SELECT id, {names.RID} FROM ({visible}) AS _visible")
    assert len(found) == len(dict(found))
    return dict(found)


def staged(connection: Connection) -> dict[int, int]:
    return dict(connection.cursor.query(f"SELECT id, {names.RID} FROM {names.temporary('staged')}"))


def test_rows_keep_the_identities_they_were_staged_with(connection: Connection) -> None:
    assert inserted(connection, "INSERT INTO t (id, v) SELECT id, v FROM staged") == ROWS
    found, given = identities(connection), staged(connection)
    assert len(set(given.values())) == ROWS
    assert found == given | {-1: found[-1]}
    assert found[-1] not in given.values()
    connection.commit()
    assert connection.execute(sql("SELECT count(*), sum(v) FROM t WHERE name = 'none'")).fetchall() == [
        (ROWS, sum(i % 7 for i in range(ROWS)))
    ]
    connection.execute(sql("INSERT INTO t (id, v) VALUES (-2, 1), (-3, 1)"))
    assert len(set(identities(connection).values())) == ROWS + 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, v FROM staged UNION ALL SELECT -id - 10, v FROM staged",
        "SELECT id, v FROM (SELECT * FROM staged)",
    ],
)
def test_of_another_query_rows_get_new_ones(connection: Connection, query: str) -> None:
    assert inserted(connection, f"INSERT INTO t (id, v) {query}") in (ROWS, 2 * ROWS)
    found = identities(connection)
    assert len(set(found.values())) == len(found)
    assert not set(found.values()) & set(staged(connection).values())


def test_rows_that_are_held_to_a_length_get_new_ones(connection: Connection) -> None:
    connection.rollback()
    short = sql("CREATE TABLE short (id INTEGER, name VARCHAR)")
    short.this.expressions[1].meta["declared"] = "character varying(3)"
    connection.execute(short)
    connection.begin()
    connection.execute(sql("CREATE TEMP TABLE texts (id INTEGER, name VARCHAR)"))
    temporary.identify(connection, "texts")
    connection.execute(sql("INSERT INTO texts (id, name) VALUES (1, 'abc'), (2, 'abc  ')"))
    assert inserted(connection, "INSERT INTO short (id, name) SELECT id, name FROM texts") == 2
    connection.commit()
    assert connection.execute(sql("SELECT id, name FROM short ORDER BY id")).fetchall() == [
        (1, "abc"),
        (2, "abc"),
    ]


def test_the_column_is_not_listed(connection: Connection) -> None:
    assert [column.name for column in connection.temporary["staged"].columns] == ["id", "v"]
