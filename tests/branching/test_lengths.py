"""Declared lengths: what is measured without the engine, what a merge brings together, and rows from before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, EngineError, branches
from branching.connection import Connection
from branching.database import Database
from branching.ddl import model as d
from branching.dml import lengths
from branching.manifest import Author
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(sql("SELECT * FROM t ORDER BY id")).fetchall()


def retyped(length: int) -> d.AlterTable:
    action = d.AlterType("a", exp.DataType.build("TEXT"), f"character varying({length})")
    return d.AlterTable(d.Name("t"), (action,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = branching.open(tmp_path / "d.duckdb")
    connection = opened.connect()
    tree = sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR, b INTEGER)")
    tree.this.expressions[1].meta["declared"] = "character varying(10)"
    connection.execute(tree)
    connection.execute(sql("INSERT INTO t VALUES (1, 'abcdef', 1), (2, 'ab', 2)"))
    connection.close()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "declared, length",
    [
        ("character varying(3)", 3), ("varchar( 3 )", 3), ("character(4)", 4), ("character", 1), ("char(2)", 2),
        ("character varying", None), ("text", None), ("bpchar", None), ("character varying(3)[]", None),
        ("numeric(3,1)", None), (None, None),
    ],
)  # fmt: skip
def test_which_types_have_a_limit(declared: str | None, length: int | None) -> None:
    limit = lengths.declared_limit(declared)
    assert (limit.length if limit is not None else None) == length


def test_constants_are_measured_here() -> None:
    limit = lengths.Limit(3, "character varying(3)")
    for text, kept in [("abc", "abc"), ("ab    ", "ab "), ("", ""), ("日本語", "日本語")]:
        assert lengths.coerced(exp.Literal.string(text), limit).name == kept
    assert isinstance(lengths.coerced(exp.Null(), limit), exp.Null)
    with pytest.raises(BoughError) as caught:
        lengths.coerced(exp.Literal.string("abcd"), limit)
    assert (caught.value.sqlstate, caught.value.message) == (
        "22001",
        "value too long for type character varying(3)",
    )


def test_a_drawn_value_is_drawn_once(database: Database) -> None:
    connection = database.connect()
    connection.execute(d.CreateSequence(d.Name("s")))
    connection.execute(sql("UPDATE t SET a = CAST(nextval('s') AS VARCHAR)"))
    assert sorted(row[1] for row in rows(connection)) == ["1", "2"]
    connection.close()


@pytest.mark.parametrize("first", ["narrow", "long"])
@pytest.mark.parametrize("cleaned", [False, True])
def test_one_side_narrows_what_the_other_writes(database: Database, first: str, cleaned: bool) -> None:
    """Whichever is merged first, a row that is too long never gets into the narrower column."""
    for name in ("narrow", "long"):
        branches.create(database, name, "main", role="me")
    narrow, long, main = (database.connect(name) for name in ("narrow", "long", "main"))
    narrow.execute(sql("UPDATE t SET a = 'abc' WHERE id = 1"))
    narrow.execute(retyped(3))
    long.execute(sql(f"INSERT INTO t VALUES (9, '{'lon' if cleaned else 'longer'}', 9)"))
    merge_apply.merge(database, first, "main", author=Author("me"))
    before = rows(main)
    other = "long" if first == "narrow" else "narrow"
    if cleaned:
        merge_apply.merge(database, other, "main", author=Author("me"))
        assert rows(main) == [(1, "abc", 1), (2, "ab", 2), (9, "lon", 9)]
    else:
        with pytest.raises(BoughError) as caught:
            merge_apply.merge(database, other, "main", author=Author("me"))
        assert caught.value.sqlstate == "22001"
        assert rows(main) == before
    for connection in (narrow, long, main):
        connection.close()


def test_another_value_of_the_same_type_is_merged(database: Database) -> None:
    """ALTER … TYPE text USING upper(a) changes rows, and a merge brings them."""
    branches.create(database, "b", "main", role="me")
    branch, main = database.connect("b"), database.connect("main")
    main.execute(sql("INSERT INTO t VALUES (3, 'later', 3)"))
    action = d.AlterType("a", exp.DataType.build("TEXT"), None, sql("upper(a)"))
    branch.execute(d.AlterTable(d.Name("t"), (action,)))
    merge_apply.merge(database, "b", "main", author=Author("me"))
    assert [row[1] for row in rows(main)] == ["ABCDEF", "AB", "later"]
    branch.close()
    main.close()


def test_rows_from_before_stay_until_they_are_assigned(tmp_path: Path) -> None:
    """A file whose column was never held to its length opens, is read, written elsewhere, branched and merged."""
    path = tmp_path / "d.duckdb"
    database = branching.open(path)
    connection = database.connect()
    tree = sql("CREATE TABLE t (id INTEGER, a VARCHAR, b INTEGER)")
    tree.this.expressions[1].meta["declared"] = "character varying(3)"
    connection.execute(tree)
    connection.cursor.execute(
        "INSERT INTO t (id, a, b, _bough_ver) VALUES (1, 'too long', 1, 0)"
    )  # as it once was
    connection.close()
    database.close()
    database = branching.open(path)
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    branch.execute(sql("UPDATE t SET b = 2"))
    assert rows(branch) == [(1, "too long", 2)]
    merge_apply.merge(database, "b", "main", author=Author("me"))
    main = database.connect()
    assert rows(main) == [(1, "too long", 2)]
    with pytest.raises((BoughError, EngineError), match="value too long for type character varying"):
        main.execute(sql("UPDATE t SET a = a || '!'"))
    main.execute(sql("UPDATE t SET a = left(a, 3)"))
    assert rows(main) == [(1, "too", 2)]
    for item in (branch, main):
        item.close()
    database.close()
