"""The type each ``$n`` is given."""

from __future__ import annotations

import pytest

from proxy.sql.parameters import parameter_types, typed_parameters
from proxy.sql.parse import parse

COLUMNS = {
    "id": "INTEGER",
    "name": "VARCHAR",
    "at": "TIMESTAMP WITH TIME ZONE",
    "n": "DECIMAL(10,2)",
    "b": "BOOLEAN",
}


def _columns(schema: str | None, table: str) -> dict[str, str] | None:
    return COLUMNS if table == "t" else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT $1::int8, $2::text", ["BIGINT", "VARCHAR"]),
        ("SELECT * FROM t WHERE id = $1 AND name <> $2", ["INTEGER", "VARCHAR"]),
        ("SELECT * FROM t AS x WHERE x.at > $1", ["TIMESTAMP WITH TIME ZONE"]),
        ("SELECT * FROM t WHERE id IN ($1, $2)", ["INTEGER", "INTEGER"]),
        ("SELECT * FROM t WHERE id = ANY($1)", ["INTEGER[]"]),
        ("SELECT * FROM t WHERE id = ANY($1::int[])", ["INTEGER[]"]),
        ("SELECT * FROM t WHERE at BETWEEN $1 AND $2", ["TIMESTAMP WITH TIME ZONE"] * 2),
        ("SELECT * FROM t LIMIT $1 OFFSET $2", ["BIGINT", "BIGINT"]),
        ("SELECT * FROM t WHERE name LIKE $1", ["VARCHAR"]),
        ("INSERT INTO t VALUES ($1, $2, $3)", ["INTEGER", "VARCHAR", "TIMESTAMP WITH TIME ZONE"]),
        ("INSERT INTO t (n, id) VALUES ($1, $2), ($3, $4)", ["DECIMAL(10,2)", "INTEGER"] * 2),
        ("INSERT INTO t (n, id) SELECT $1, $2", ["DECIMAL(10,2)", "INTEGER"]),
        ("UPDATE t SET name = $1, n = $2 WHERE id = $3", ["VARCHAR", "DECIMAL(10,2)", "INTEGER"]),
        ("DELETE FROM t WHERE id = $1 RETURNING id", ["INTEGER"]),
        ("INSERT INTO t (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET name = $2", ["INTEGER", "VARCHAR"]),
        ("SELECT id + $1 FROM t", ["INTEGER"]),
        ("SELECT left(name, $1) FROM t", ["INTEGER"]),
        ("SELECT $1 || name FROM t", ["VARCHAR"]),
        ("SELECT coalesce(n, $1) FROM t", ["DECIMAL(10,2)"]),
        ("SELECT $1", [None]),
        ("SELECT $1 + 1", ["INTEGER"]),
        ("SELECT * FROM t WHERE b AND $1", ["BOOLEAN"]),
        ("SELECT * FROM t AS x (name, id) WHERE id = $1 AND x.name = $2 AND n < $3",
         ["VARCHAR", "INTEGER", "DECIMAL(10,2)"]),
        ("WITH t AS (SELECT 'x' AS id) SELECT * FROM t WHERE id = $1", [None]),
        ("WITH t AS (SELECT 5 AS id) INSERT INTO t VALUES ($1)", ["INTEGER"]),
    ],
)  # fmt: skip
def test_inferred(text: str, expected: list[str | None]) -> None:
    assert parameter_types(parse(text), _columns) == expected


def test_typed_copy_leaves_the_tree_alone() -> None:
    parsed = parse("SELECT $1, $2::int")
    assert parsed.tree is not None
    typed = typed_parameters(parsed.tree, ["BIGINT", "INTEGER"])
    assert typed.sql("duckdb") == "SELECT CAST($1 AS BIGINT), CAST($2 AS INT)"
    assert parsed.tree.sql("duckdb") == "SELECT $1, CAST($2 AS INT)"
