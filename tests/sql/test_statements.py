"""Statements that are not queries: what they become."""

from __future__ import annotations

import pytest
from sqlglot import exp

from branching.ddl import model as ddl
from branching.ddl.model import Name
from proxy.sql import statements as s
from proxy.sql.parse import parse
from proxy.sql.prepare import prepare
from proxy.sql.split import Source
from proxy.sql.statements import Kind

PAYLOADS = [
    ("SET search_path TO a, b", Kind.SET, "SET", s.SetVariable("search_path", ("a", "b"))),
    ("SET LOCAL x.y = 'z'", Kind.SET, "SET", s.SetVariable("x.y", ("z",), local=True)),
    ("SET TIME ZONE 'UTC'", Kind.SET, "SET", s.SetVariable("timezone", ("UTC",))),
    ("SET a TO DEFAULT", Kind.SET, "SET", s.SetVariable("a", None)),
    ("RESET ALL", Kind.RESET, "RESET", s.ResetVariable(None)),
    ("show Transaction Isolation Level", Kind.SHOW, "SHOW", s.ShowVariable("transaction_isolation")),
    ("START TRANSACTION READ ONLY", Kind.BEGIN, "START TRANSACTION", s.Transaction(read_only=True)),
    ("END", Kind.COMMIT, "COMMIT", s.Transaction()),
    ("ABORT", Kind.ROLLBACK, "ROLLBACK", s.Transaction()),
    ("ROLLBACK TO \"A b\"", Kind.ROLLBACK_TO, "ROLLBACK", s.Savepoint("A b")),
    ("PREPARE p (int) AS SELECT $1", Kind.PREPARE, "PREPARE",
     s.Prepare("p", ("integer",), Source("SELECT $1", 19))),
    ("EXECUTE p (1, 'x')", Kind.EXECUTE, "EXECUTE", s.Execute("p", ("1", "'x'"))),
    ("DEALLOCATE ALL", Kind.DEALLOCATE, "DEALLOCATE ALL", s.Deallocate(None)),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Kind.DECLARE, "DECLARE CURSOR",
     s.Declare("c", Source("SELECT 1", 31), hold=True)),
    ("FETCH FORWARD ALL FROM c", Kind.FETCH, "FETCH", s.Fetch("c", count=None)),
    ("MOVE BACKWARD 2 IN c", Kind.MOVE, "MOVE", s.Fetch("c", "backward", 2)),
    ("CLOSE ALL", Kind.CLOSE, "CLOSE CURSOR ALL", s.Close(None)),
    ("DISCARD ALL", Kind.DISCARD, "DISCARD ALL", s.Discard("all")),
    ("UNLISTEN *", Kind.UNLISTEN, "UNLISTEN", s.Channel(None)),
    ("CREATE DATABASE b TEMPLATE a", Kind.CREATE_DATABASE, "CREATE DATABASE",
     s.Database("b", "a", options=(("template", "a"),))),
    ("ALTER DATABASE a RENAME TO b", Kind.ALTER_DATABASE, "ALTER DATABASE", s.Database("a", rename_to="b")),
    ("DROP TABLE IF EXISTS a.b, c CASCADE", Kind.DROP, "DROP TABLE",
     ddl.Drop("table", (Name("b", "a"), Name("c")), if_exists=True, cascade=True)),
    ("TRUNCATE t, u RESTART IDENTITY", Kind.TRUNCATE, "TRUNCATE TABLE",
     ddl.Truncate((Name("t"), Name("u")), restart_identity=True)),
    ("COMMENT ON COLUMN s.t.c IS 'x'", Kind.COMMENT, "COMMENT", ddl.CommentOn("column", Name("t", "s"), "x", "c")),
    ("CREATE SCHEMA IF NOT EXISTS x", Kind.CREATE_SCHEMA, "CREATE SCHEMA", ddl.CreateSchema("x", True)),
    ("CREATE SEQUENCE s INCREMENT 2 NO MAXVALUE", Kind.CREATE_SEQUENCE, "CREATE SEQUENCE",
     ddl.CreateSequence(Name("s"), ddl.SequenceOptions(increment=2, no_maximum=True))),
    ("ALTER TABLE t RENAME COLUMN a TO b", Kind.ALTER_TABLE, "ALTER TABLE",
     ddl.AlterTable(Name("t"), (ddl.RenameColumn("a", "b"),))),
    ("ALTER VIEW v RENAME TO w", Kind.ALTER_TABLE, "ALTER VIEW",
     ddl.AlterTable(Name("v"), (ddl.RenameTable("w"),), kind="view")),
    ("ALTER TABLE t DROP COLUMN IF EXISTS a CASCADE", Kind.ALTER_TABLE, "ALTER TABLE",
     ddl.AlterTable(Name("t"), (ddl.DropColumn("a", True, True),))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "tag", "payload"), PAYLOADS, ids=[row[0] for row in PAYLOADS])
def test_payload(text: str, kind: Kind, tag: str, payload: s.Payload) -> None:
    parsed = parse(text)
    assert (parsed.kind, parsed.tag, parsed.payload) == (kind, tag, payload)


def test_create_table_columns() -> None:
    tree = prepare(
        "CREATE TABLE IF NOT EXISTS s.T (Id serial PRIMARY KEY, n numeric(10,2) NOT NULL DEFAULT 5/2,"
        " v varchar(10) UNIQUE, j jsonb, g bigint GENERATED ALWAYS AS IDENTITY (START 5), a text[],"
        " u int REFERENCES o (id) ON DELETE CASCADE, CONSTRAINT ck CHECK (n > 0), UNIQUE (v, j))"
    ).tree
    assert isinstance(tree, exp.Create)
    columns = {column.name: column for column in tree.this.expressions if isinstance(column, exp.ColumnDef)}
    assert {name: column.meta["declared"] for name, column in columns.items()} == {
        "id": "integer", "n": "numeric(10,2)", "v": "character varying(10)", "j": "jsonb", "g": "bigint",
        "a": "text[]", "u": "integer",
    }  # fmt: skip
    assert columns["id"].meta["identity"] == "serial"
    assert columns["g"].meta["identity"] == "a"
    assert columns["g"].meta["sequence"] == ddl.SequenceOptions(start=5)
    assert tree.sql("duckdb") == (
        'CREATE TABLE IF NOT EXISTS "s"."t" ("id" INT NOT NULL PRIMARY KEY, "n" DECIMAL(10, 2) NOT NULL DEFAULT 5 // 2,'
        ' "v" TEXT UNIQUE, "j" JSON, "g" BIGINT NOT NULL, "a" TEXT[],'
        ' "u" INT REFERENCES "o" ("id") ON DELETE CASCADE, CONSTRAINT "ck" CHECK ("n" > 0), UNIQUE ("v", "j"))'
    )


def test_alter_table_actions() -> None:
    payload = parse(
        "ALTER TABLE t ADD COLUMN z int NOT NULL DEFAULT 1 CHECK (z > 0), ALTER b TYPE varchar(3) USING b::text,"
        " ALTER c SET DEFAULT now(), ADD FOREIGN KEY (a) REFERENCES u (id) ON DELETE SET NULL"
    ).payload
    assert isinstance(payload, ddl.AlterTable)
    added, check, retyped, default, foreign = payload.actions
    assert isinstance(added, ddl.AddColumn)
    assert added.column.sql("duckdb") == '"z" INT NOT NULL DEFAULT 1'
    assert isinstance(check, ddl.AddConstraint)
    assert check.constraint.expression is not None
    assert check.constraint.expression.sql("duckdb") == '"z" > 0'
    assert isinstance(retyped, ddl.AlterType)
    assert (retyped.declared, retyped.type.sql("duckdb")) == ("character varying(3)", "TEXT")
    assert isinstance(default, ddl.SetDefault)
    assert isinstance(foreign, ddl.AddConstraint)
    assert foreign.constraint.on_delete == "n"
    assert foreign.constraint.references == Name("u")


def test_copy_and_explain() -> None:
    copy = parse("COPY s.t (a, b) FROM STDIN WITH (FORMAT csv, HEADER, NULL 'x')").payload
    assert copy == s.Copy(
        Name("t", "s"),
        None,
        ("a", "b"),
        True,
        None,
        False,
        (("format", "csv"), ("header", True), ("null", "x")),
    )
    explain = parse("EXPLAIN (ANALYZE, FORMAT json) DELETE FROM t").payload
    assert isinstance(explain, s.Explain)
    assert explain.analyze
    assert explain.inner == Source("DELETE FROM t", 31)


def test_cached_trees_are_not_changed_by_translation() -> None:
    parsed = parse("SELECT A / 2 FROM T")
    assert parsed.tree is not None
    before = parsed.tree.sql("duckdb")
    prepare("SELECT A / 2 FROM T")
    assert parsed.tree.sql("duckdb") == before
