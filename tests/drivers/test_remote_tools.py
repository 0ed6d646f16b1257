"""The data tools by the names agents know, called over the wire in both spellings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from lakes import sqlite_lake
from server_thread import ThreadServer

from proxy.commands.tools import TOOLS

pytestmark = pytest.mark.sampled


@pytest.fixture
def lake(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> Iterator[str]:
    with sqlite_lake(client, tmp_path, f"k_{name}") as source:
        yield source


def _call(client: psycopg.Connection[Any], tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Named arguments, as parameters of the extended protocol."""
    given = ", ".join(f"{name} => %s" for name in arguments)
    return client.execute(f"SELECT * FROM bough.{tool}({given})", list(arguments.values())).fetchall()  # type: ignore[arg-type]


def _refused(client: psycopg.Connection[Any], tool: str, **arguments: Any) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        _call(client, tool, **arguments)
    return caught.value


@pytest.mark.parametrize("word", ["datasource", "database"])
def test_rows_are_transferred_in_both_spellings(
    client: psycopg.Connection[Any], lake: str, name: str, word: str
) -> None:
    out = _call(
        client,
        "transfer_query_result",
        **{
            "source_sql": "SELECT i::bigint AS id, 'n' || i AS name FROM generate_series(1, 3) AS g(i)",
            f"source_{word}": "local",
            "target_table": "main.out",
            f"target_{word}": lake,
            "mode": "replace",
            "batch_size": 2,
        },
    )[0]
    assert list(out) == [column.name for column in TOOLS["transfer_query_result"].result or ()]
    assert (out["rows_transferred"], out["source_row_count"], out["transferred_row_count"]) == (3, 3, 3)
    assert (out["source_row_count_verified"], out["target_table_created"], out["batch_size"]) == (
        True,
        True,
        2,
    )
    assert out["deliverable_target"]["target"]["table"] == "out"
    databases = {row["name"]: row["database"] for row in _call(client, "list_databases")}
    assert out["deliverable_target"]["target"]["database"] == databases[lake]
    assert out["verdict"] == "pass"
    back = {"source_sql": "SELECT * FROM out", f"source_{word}": lake, "target_table": f"public.b_{name}"}
    assert _call(client, "transfer_query_result", **back, mode="append")[0]["rows_transferred"] == 3
    assert client.execute(f"SELECT count(*) AS n FROM b_{name}").fetchone() == {"n": 3}
    shown = client.execute(
        f"SELECT state, role, branch FROM bough.transfers WHERE id = {out['transfer_id'] + 1}"
    )
    assert shown.fetchone() == {"state": "done", "role": "alice", "branch": "main"}


def test_what_is_there(client: psycopg.Connection[Any], lake: str) -> None:
    known = {row["name"]: row for row in _call(client, "list_databases")}
    assert known[lake]["type"] == "sqlite" and known[lake]["available"] is True
    assert known["local"]["role"] == "read_write"
    for spelling in ("database", "datasource"):
        assert _call(client, "list_tables", **{spelling: lake}) == [
            {"schema": "main", "name": "users", "kind": "table", "est_rows": None}
        ]
        columns = _call(client, "describe_table", table_name="users", **{spelling: lake})
        assert [(c["name"], c["primary_key"], c["nullable"]) for c in columns][:2] == [
            ("id", True, True),  # SQLite says so
            ("name", False, False),
        ]
    assert _call(client, "get_table_ddl", table="users", database=lake)[0]["ddl"].startswith(
        "CREATE TABLE users"
    )
    other = _call(client, "get_table_ddl", table_name="users", datasource=lake, dialect="mysql")[0]
    assert "bigint" in other["ddl"].lower() and isinstance(other["notes"], list)


def test_queries_keep_their_types(client: psycopg.Connection[Any], lake: str) -> None:
    assert _call(
        client, "read_query", sql="SELECT id, name, seen FROM users ORDER BY id", database=lake, limit=2
    ) == [
        {"id": 1, "name": "Ada", "seen": None},
        {"id": 2, "name": "Bob", "seen": None},
    ]
    text = (
        "SELECT 1.50::numeric(9,2) AS d, date '2024-02-29' AS day, timestamp '2024-01-01 10:00:00.5' AS t,"
        " timestamptz '2024-01-01 10:00:00+02' AS z, '\\x00ff'::bytea AS b, ARRAY[1, 2] AS a, true AS f, NULL::int AS n"
    )
    direct = client.execute(text).fetchall()
    assert _call(client, "read_query", query=text) == direct
    written = text.replace("'", "''")
    assert client.execute(f"SELECT * FROM bough.read_query('{written}')").fetchall() == direct  # type: ignore[arg-type]
    assert _refused(client, "read_query", query="DELETE FROM users", database=lake).sqlstate in (
        "25006",
        "42601",
    )
    assert _refused(client, "read_query", query="SELECT 1", limit="many").sqlstate == "22P02"


def test_contracts(client: psycopg.Connection[Any], lake: str) -> None:
    found = _call(client, "get_migration_capabilities", database="starrocks")[0]
    assert (found["supported"], found["dialect_family"]) == (True, "mysql-like")
    assert {"requires", "forbids", "type_hints", "example_ddl"} <= found.keys()
    assert isinstance(found["requires"], list) and isinstance(found["type_hints"], dict)
    unknown = _call(client, "get_migration_capabilities", database="nobody_knows")[0]
    assert unknown["supported"] is False and unknown["warning"]
    columns = '[{"name": "order_id", "type": "BIGINT", "nullable": false}]'
    layout = _call(client, "suggest_table_layout", database="starrocks", columns_json=columns)[0]
    assert layout["duplicate_key"] == ["order_id"] and isinstance(layout["buckets"], int)
    fine = _call(
        client, "validate_ddl", database="postgres", ddl="CREATE TABLE t (a integer)", target_table="t"
    )
    assert fine == [{"valid": True, "errors": [], "validated": True}]
    columns = '[{"name": "id", "type": "BIGINT"}]'
    assert _call(client, "suggest_table_layout", database="nobody knows", columns_json=columns) == [
        {"layout": {}}
    ]
    wrong = _call(client, "validate_ddl", database="postgres", sql="DROP TABLE t")[0]
    assert wrong["valid"] is False and wrong["errors"]


@pytest.mark.parametrize("where", ["local", "there"])
def test_statements_run_where_they_are_sent(
    client: psycopg.Connection[Any], lake: str, name: str, where: str
) -> None:
    to: dict[str, Any] = {} if where == "local" else {"database": lake}
    table = f"w_{name}"[:40]

    def rows() -> int:
        return int(_call(client, "read_query", sql=f"SELECT count(*) AS n FROM {table}", **to)[0]["n"])

    assert (
        _call(client, "execute_ddl", sql=f"CREATE TABLE {table} (a integer)", dry_run=True, **to)[0][
            "committed"
        ]
        is False
    )
    assert _call(client, "execute_ddl", sql=f"CREATE TABLE {table} (a integer)", **to)[0]["committed"] is True
    insert = f"INSERT INTO {table} VALUES (1), (2)"
    assert _refused(client, "execute_write", sql=insert, max_rows=1, **to).sqlstate == "P0004"
    assert _call(client, "execute_write", sql=insert, dry_run=True, **to)[0]["rows_affected"] == 2
    assert rows() == 0
    assert _call(client, "execute_write", sql=insert, min_rows=2, max_rows=2, **to)[0] == {
        "tag": "DML" if where == "there" else "INSERT",
        "rows_affected": 2,
        "committed": True,
        "checks": [],
    }
    assert rows() == 2


@pytest.mark.parametrize("where", ["local", "there"])
def test_etl_inside_a_database_is_validated(
    client: psycopg.Connection[Any], lake: str, name: str, where: str
) -> None:
    to: dict[str, Any] = {} if where == "local" else {"database": lake}
    source, table = f"s_{name}"[:40], f"e_{name}"[:40]
    _call(client, "execute_ddl", sql=f"CREATE TABLE {source} (day text, amount integer)", **to)
    _call(client, "execute_write", sql=f"INSERT INTO {source} VALUES ('a', 1), ('a', 2), ('b', 3)", **to)
    query = f"SELECT day, sum(amount) AS total FROM {source} GROUP BY day"
    made = _call(client, "execute_ddl", sql=f"CREATE TABLE {table} AS {query}", validate=True, **to)[0]
    verdicts = {(check["check"], check["column"]): check["verdict"] for check in made["checks"]}
    assert set(verdicts.values()) == {"pass"}
    assert {"exists", "row_count", "columns", "type"} == {check for check, _ in verdicts}
    more = _call(client, "execute_write", sql=f"INSERT INTO {table} {query}", validate=True, **to)[0]
    assert (more["rows_affected"], more["committed"]) == (2, True)
    assert [c["target"] for c in more["checks"] if c["check"] == "row_count"] == [2]
    dry = _call(
        client, "execute_write", sql=f"INSERT INTO {table} {query}", validate=True, dry_run=True, **to
    )[0]
    assert dry["committed"] is False
    assert _call(client, "read_query", sql=f"SELECT count(*) AS n FROM {table}", **to) == [{"n": 4}]
    assert (
        _refused(client, "execute_write", sql=f"DELETE FROM {table}", validate=True, **to).sqlstate == "0A000"
    )


def test_an_insert_that_loses_rows_is_taken_back(client: psycopg.Connection[Any], name: str) -> None:
    client.execute(f"CREATE TABLE u_{name} (id int PRIMARY KEY)")
    client.execute(f"INSERT INTO u_{name} VALUES (1)")
    insert = f"INSERT INTO u_{name} SELECT i FROM generate_series(1, 3) AS g(i) ON CONFLICT DO NOTHING"
    error = _refused(client, "execute_write", sql=insert, validate=True)
    assert error.sqlstate == "VT002"
    assert "row_count: expected 3, found 2" in (error.diag.message_detail or "")
    assert client.execute(f"SELECT count(*) AS n FROM u_{name}").fetchone() == {"n": 1}


def test_execute_on_local(
    client: psycopg.Connection[Any], branch: str, server: ThreadServer, name: str
) -> None:
    with server.connect(branch) as other:
        other.execute(f"EXECUTE ON local AS $$ CREATE TABLE x_{name} AS SELECT 1::int4 AS a $$")
        assert (
            other.execute(f"EXECUTE ON local DRY RUN AS $$ DELETE FROM x_{name} $$").statusmessage
            == "EXECUTE 1"
        )
        assert other.execute(f"SELECT a FROM x_{name}").fetchall() == [(1,)]
        with pytest.raises(psycopg.Error):
            other.execute("EXECUTE ON local AS $$ SELECT 1 $$")
        other.execute(f'BRANCH ALTER "{branch}" SET (protected true)')
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            other.execute(f"EXECUTE ON local AS $$ DELETE FROM x_{name} $$")
        other.execute(f'BRANCH ALTER "{branch}" SET (protected false)')


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("read_query()", "42883"),
        ("read_query('SELECT 1', nope => 1)", "42883"),
        ("list_tables(database => 'a', datasource => 'b')", "42883"),
        ("list_tables(database => 'there_is_none')", "42704"),
        ("list_tables(schema => 'there_is_none')", "3F000"),
        ("transfer_query_result('SELECT 1 AS a', target_table => '', target_database => 'local')", "42602"),
        ("execute_write('SELECT 1')", "42601"),
        ("list_tables(datasource => 5)", "22023"),
    ],
)
def test_wrong_calls(client: psycopg.Connection[Any], call: str, sqlstate: str) -> None:
    for prefix in ("bough.", ""):
        with pytest.raises(psycopg.Error) as caught:
            client.execute(f"SELECT * FROM {prefix}{call}")  # type: ignore[arg-type]
        assert caught.value.sqlstate == sqlstate


def test_asyncpg_describes_a_tool_before_it_runs(
    server: ThreadServer, client: psycopg.Connection[Any], lake: str
) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="alice", database="main")
        rows = await connection.fetch("SELECT name, kind FROM bough.list_tables(database => $1)", lake)
        assert [tuple(row) for row in rows] == [("users", "table")]
        rows = await connection.fetch(
            "SELECT name FROM bough.list_tables(datasource => $1) WHERE kind = $2 AND name = $3",
            lake, "table", "users",
        )  # fmt: skip
        assert [tuple(row) for row in rows] == [("users",)]
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="depend on its datasource"):
            await connection.fetch(
                "SELECT * FROM bough.read_query(query => 'SELECT 1', datasource => $1)", lake
            )
        await connection.close()

    asyncio.run(run())


def test_a_target_may_be_named_with_its_datasource(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    query = "SELECT 7 AS n"
    for number, more in enumerate(({}, {"target_database": lake}, {"target_datasource": lake})):
        table = f"{lake}.main.named_{number}"
        made = _call(client, "transfer_query_result", source_sql=query, target_table=table, **more)[0]
        assert (made["target_datasource"], made["target_table"]) == (lake, f"main.named_{number}")
        assert client.execute(f"SELECT n FROM {table}").fetchall() == [{"n": 7}]
    made = _call(client, "transfer_query_result", source_sql=query, target_table=f"public.named_{name}")[0]
    assert made["target_datasource"] == "local"


def test_ddl_and_writes_are_two_tools(client: psycopg.Connection[Any], lake: str) -> None:
    for datasource in ("local", lake):
        to = {"datasource": datasource}
        _call(client, "execute_ddl", sql="CREATE TABLE kinds (a integer)", **to)
        for tool, sql in (("execute_write", "DROP TABLE kinds"), ("execute_ddl", "DELETE FROM kinds")):
            error = _refused(client, tool, sql=sql, **to)
            assert error.sqlstate == "42601"
            assert "bough.execute_" in (error.diag.message_hint or "")
        for tool in ("execute_write", "execute_ddl"):
            error = _refused(client, tool, sql="SELECT a FROM kinds", **to)
            assert (error.sqlstate, "bough.read_query(" in (error.diag.message_hint or "")) == ("42601", True)
        assert (
            _call(client, "execute_write", sql="INSERT INTO kinds VALUES (1)", **to)[0]["rows_affected"] == 1
        )
        if datasource == "local":
            for tool in ("execute_write", "execute_ddl"):
                _call(client, tool, sql="TRUNCATE kinds", **to)
        _call(client, "execute_ddl", sql="DROP TABLE kinds", **to)


def test_a_ddl_is_validated_whatever_database_is_named_with_its_datasource(
    client: psycopg.Connection[Any], lake: str
) -> None:
    ddl = "CREATE TABLE t (id bigint)"
    for more in ({"datasource": lake}, {"database": lake}, {"datasource": lake, "database": "main"}):
        assert _call(client, "validate_ddl", ddl=ddl, target_table="t", **more)[0]["validated"] is True
    client.execute("SELECT * FROM bough.validate_ddl(%s, %s, %s, %s)", ("postgres", "sales", ddl, "t"))
    row = client.execute("SELECT valid FROM validate_ddl('postgres', '', 'CREATE TABLE t (a tinyint)', 't')")
    assert row.fetchone() == {"valid": False}


@pytest.mark.postgres
def test_rows_without_columns_are_counted(
    client: psycopg.Connection[Any], request: pytest.FixtureRequest, name: str
) -> None:
    server = request.getfixturevalue("postgres")
    client.execute(
        f"CREATE DATASOURCE bare_{name} TYPE postgres OPTIONS (host '{server.host}', port '{server.port}',"
        f" user '{server.user}', database '{server.database}')"
    )
    cursor = client.execute(f"QUERY bare_{name} AS $$ SELECT FROM generate_series(1, 3) $$")
    assert cursor.statusmessage == "SELECT 3"
    assert not cursor.description
    assert cursor.rowcount == 3


def test_a_parsers_words_have_no_escapes(client: psycopg.Connection[Any], lake: str) -> None:
    error = _refused(client, "read_query", sql="SELECT 1 INTO OUTFILE 'x'", datasource=lake)
    assert error.sqlstate == "42601"
    assert "\x1b" not in str(error.diag.message_detail)


def test_a_table_is_named_with_its_datasource_in_every_tool(
    client: psycopg.Connection[Any], lake: str
) -> None:
    """And rendered as SHOW CREATE TABLE does, for a dialect or for a datasource's."""
    path = f"{lake}.main.users"
    assert [row["name"] for row in _call(client, "describe_table", table_name=path)] == ["id", "name", "seen"]
    (ddl,) = _call(client, "get_table_ddl", table=path, dialect="starrocks")
    (shown,) = client.execute(f"SHOW CREATE TABLE {path} FOR starrocks").fetchall()  # type: ignore[arg-type]
    assert ddl == shown
    assert "DISTRIBUTED BY" in ddl["ddl"]
    assert client.execute(f"VALIDATE DDL FOR starrocks AS $$ {ddl['ddl']} $$").fetchall() == []  # type: ignore[arg-type]
    (own,) = _call(client, "get_table_ddl", table_name="users", datasource=lake, dialect=lake)
    assert own["ddl"].startswith("CREATE TABLE users")
    (unknown,) = _call(client, "get_table_ddl", table_name="users", datasource=lake, dialect="nobody's")
    assert "no contract" in unknown["notes"][0]


def test_databases_are_listed_as_datasources_are_shown(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    """Asked all at once; one whose file or driver is missing hides no other, and is known by its own type."""
    client.execute(
        f"CREATE DATASOURCE m_{name} TYPE sqlalchemy OPTIONS (driver 'mssql+nobody', host 'h', database 'd')"  # type: ignore[arg-type]
    )
    listed = {row["name"]: row for row in _call(client, "list_databases")}
    assert listed == {row["name"]: row for row in client.execute("SHOW DATASOURCES").fetchall()}
    assert (listed[f"m_{name}"]["type"], listed[f"m_{name}"]["available"]) == ("sqlalchemy", False)
    assert listed[lake]["available"] is True
    client.execute(f"DROP DATASOURCE m_{name}")  # type: ignore[arg-type]


def test_values_of_arguments(client: psycopg.Connection[Any], lake: str, name: str) -> None:
    for value in (1.5, True):
        refusal = _refused(client, "read_query", query="SELECT 1", datasource=lake, limit=value)
        assert refusal.sqlstate == "22023"
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        client.execute(f"SELECT * FROM bough.read_query('SELECT 1', '{lake}', limit => 'many')")  # type: ignore[arg-type]
    assert len(_call(client, "read_query", query="SELECT * FROM users", datasource=lake, limit=2.0)) == 2
    (moved,) = _call(
        client, "transfer_query_result", source_sql="SELECT 1 AS a", target_table=f"t_{name}", mode="Replace"
    )
    assert moved["mode"] == "replace"
    refusal = _refused(client, "execute_write", query="DELETE FROM users", datasource=lake, min_rows=9)
    assert refusal.sqlstate == "P0004"
    assert "touches 3 rows, not 9 or more" in str(refusal)


@pytest.mark.parametrize(
    "key", [["id", "of, b"], 'id, "of, b"', '{id,"of, b"}'], ids=["list", "text", "array"]
)
def test_a_key_is_a_list_or_a_text(
    client: psycopg.Connection[Any], lake: str, name: str, key: object
) -> None:
    query, target = 'SELECT 1 AS id, 2 AS "of, b", 3 AS n', f"{lake}.main.key_{len(str(key))}"
    for _ in range(2):
        (moved,) = _call(
            client, "transfer_query_result", source_sql=query, target_table=target, mode="upsert", key=key
        )
    assert (moved["mode"], moved["verdict"]) == ("upsert", "pass")
    assert client.execute(f"SELECT count(*) AS n FROM {target}").fetchone() == {"n": 1}  # type: ignore[arg-type]
    refusal = _refused(
        client, "transfer_query_result", source_sql=query, target_table=target, mode="upsert", key="{NULL}"
    )
    assert refusal.sqlstate == "22023"
    refusal = _refused(client, "transfer_query_result", source_sql=query, target_datasource=lake)
    assert refusal.sqlstate == "42602"
    assert "target_table" in refusal.diag.message_primary and "target_table =>" in refusal.diag.message_hint  # type: ignore[operator]


@pytest.mark.postgres
def test_numbers_without_limits_are_numbers(
    client: psycopg.Connection[Any], postgres: Any, name: str
) -> None:
    """avg() and sum() of PostgreSQL are such; what no column of ours holds is a text, and all of its column."""
    client.execute(
        f"CREATE DATASOURCE n_{name} TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"  # type: ignore[arg-type]
        f" user '{postgres.user}', database '{postgres.database}')"
    )

    def read(query: str, what: str = "*") -> tuple[list[int], list[dict[str, Any]]]:
        cursor = client.execute(f"SELECT {what} FROM bough.read_query('{query}', 'n_{name}')")  # type: ignore[arg-type]
        return [column.type_code for column in cursor.description or ()], cursor.fetchall()

    numeric, text = (psycopg.adapters.types[kind].oid for kind in ("numeric", "text"))
    found = read("SELECT 1.50::numeric AS n, 1e-20::numeric AS s, NULL::numeric AS z")
    assert found == ([numeric] * 3, [{"n": Decimal("1.50"), "s": Decimal("1e-20"), "z": None}])
    average = "SELECT avg(i) AS a FROM generate_series(1, 4) AS g(i)"
    assert read(average, "sum(a) AS s")[1] == [{"s": Decimal("2.5")}]
    assert read(f"{average} WHERE false", "count(a) AS s")[1] == [{"s": 0}]
    beyond = read("SELECT 10::numeric ^ 60 AS n UNION ALL SELECT 1.5 ORDER BY 1")
    assert beyond[0] == [text]
    assert beyond[1][0]["n"] == "1.5"
    assert read("SELECT ''NaN''::numeric AS n") == ([text], [{"n": "NaN"}])
    client.execute(f"DROP DATASOURCE n_{name}")  # type: ignore[arg-type]


def test_arguments_have_the_types_of_their_values(server: ThreadServer, lake: str, name: str) -> None:
    """A driver that asks for the types first sends numbers as numbers and truths as truths."""

    async def run() -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="me", database="main")
        try:
            call = "SELECT * FROM bough.execute_write($1, $2, dry_run => $3, min_rows => $4, max_rows => $5)"
            (row,) = await connection.fetch(call, "DELETE FROM users", lake, True, 0, 10)
            assert (row["rows_affected"], row["committed"]) == (3, False)
            call = "SELECT verdict FROM bough.transfer_query_result($1, $2, $3, $4, $5, $6, $7)"
            (row,) = await connection.fetch(
                call, 'SELECT 1 AS id, 2 AS "of, b"', "local", f"t_{name}", lake, "upsert", 100, 'id, "of, b"'
            )
            assert row["verdict"] == "pass"
            # The same columns for a dialect that somebody knows and for one that nobody does.
            prepared = await connection.prepare(
                "SELECT * FROM bough.get_migration_capabilities(database => $1)"
            )
            for dialect, known in (("starrocks", True), ("nobody's", False), (lake, True)):
                (row,) = await prepared.fetch(dialect)
                assert (row["supported"], row["warning"] is None) == (known, known)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize("engine", ["postgres", "mariadb", "sqlite", "local"])
def test_columns_may_share_a_name(
    request: pytest.FixtureRequest, client: psycopg.Connection[Any], lake: str, name: str, engine: str
) -> None:
    """``SELECT 1, 2`` has two columns of one name in PostgreSQL; a join of ``a.*, b.*`` has them everywhere."""
    there = {"sqlite": lake, "local": "local"}.get(engine)
    if there is None:
        item, there = request.getfixturevalue(engine), f"e_{name}"
        kind = "mysql" if engine == "mariadb" else engine
        client.execute(
            f"CREATE DATASOURCE {there} TYPE {kind} OPTIONS (host '{item.host}', port '{item.port}', "  # type: ignore[arg-type]
            f"user '{item.user}', password '{item.password}', database '{item.database}')"
        )
    client.row_factory = psycopg.rows.tuple_row  # type: ignore[assignment]
    for query, expected in (
        ("SELECT 1, 2, 1", (1, 2, 1)),
        ("SELECT 1 AS a, 2 AS b, 3 AS a", (1, 2, 3)),
        ("SELECT t.*, u.* FROM (SELECT 1 AS x, 'a' AS y) t JOIN (SELECT 1 AS x, 'b' AS y) u ON t.x = u.x;",
         (1, "a", 1, "b")),
        ("WITH w AS (SELECT 7 AS a) SELECT a, a, count(*) AS a FROM w GROUP BY 1 LIMIT 5", (7, 7, 1)),
    ):  # fmt: skip
        cursor = client.execute(f"QUERY {there} AS $$ {query} $$")  # type: ignore[arg-type]
        assert cursor.fetchall() == [expected], query
        if engine == "postgres":
            first = cursor.description[0].name if cursor.description else None
            assert sum(column.name == first for column in cursor.description or ()) > 1, query
        called = client.execute("SELECT * FROM bough.read_query(%s, %s)", (query, there))
        assert called.fetchall() == [expected], query
        names = [column.name.lower() for column in called.description or ()]
        assert len(set(names)) == len(names)
    assert client.execute(f"QUERY {there} AS $$ SELECT count(*) FROM (SELECT 1 AS one) t $$").fetchall() == [
        (1,)
    ]  # type: ignore[arg-type]
    if there not in ("local", lake):
        client.execute(f"DROP DATASOURCE {there}")  # type: ignore[arg-type]


def test_a_reserved_word_names_an_argument(client: psycopg.Connection[Any], lake: str) -> None:
    """The statement around it is Postgres' all the same: names of columns, comments, several at once."""
    call = f"bough.read_query('SELECT * FROM users', '{lake}', limit /* of rows */ => 2)"
    assert client.execute(f"SELECT count(*), 7 / 2 FROM {call}").fetchall() == [{"count": 2, "?column?": 3}]  # type: ignore[arg-type]
    assert client.execute(f"SELECT 1 AS one; SELECT max(id) FROM {call}").nextset() is True  # type: ignore[arg-type]
    with pytest.raises(psycopg.errors.SyntaxError):
        client.execute("SELECT * FROM f(limit = > 2)")


def test_what_is_empty_or_explained(client: psycopg.Connection[Any], lake: str) -> None:
    for tool, argument in (("read_query", "query"), ("execute_ddl", "query"), ("validate_ddl", "ddl")):
        refusal = _refused(client, tool, **{argument: " ", "datasource": lake})
        assert (refusal.sqlstate, refusal.diag.message_primary) == (
            "42601",
            f'the argument "{argument}" is empty',
        )
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="EXPLAIN of bough"):
        client.execute("EXPLAIN SELECT * FROM bough.list_databases()")
    client.execute(f"EXECUTE ON {lake} ROWS BETWEEN 0 AND 9 DRY RUN AS $$ DELETE FROM users $$")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("SELECT * FROM bough.read_query('SELECT 1')", "bough.read_query(…)"),
        ("SELECT * FROM list_tables()", "list_tables(…)"),
        ("SELECT * FROM bough.transfers", "bough.transfers"),
        ("SELECT bough.branch_list()", "bough.branch_list(…)"),
        ("SELECT current_branch()", "current_branch()"),
    ],
)
def test_what_only_the_session_answers_is_refused_inside_a_command(
    client: psycopg.Connection[Any], name: str, inside: str, named: str
) -> None:
    """It said 42883, as if there were no such function."""
    text = inside.replace("'", "''")
    for statement in (
        f"QUERY local AS $$ {inside} $$",
        f"TRANSFER ({inside}) TO local.x_{name}",
        f"RECONCILE ({inside}) WITH (SELECT 1 AS a)",
        f"EXECUTE ON local AS $$ CREATE TABLE x_{name} AS {inside} $$",
        f"SELECT * FROM bough.read_query('{text}')",
    ):
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            client.execute(statement)  # type: ignore[arg-type]
        assert named in str(caught.value), statement
        assert (caught.value.diag.message_hint or "").startswith("SELECT"), statement


def test_a_view_calls_no_command(client: psycopg.Connection[Any], name: str) -> None:
    for statement in ("{}", "EXECUTE ON local AS $$ {} $$"):
        made = statement.format(f"CREATE VIEW v_{name} AS SELECT * FROM bough.list_tables()")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute(made)  # type: ignore[arg-type]
    client.execute(f"CREATE TABLE c_{name} AS SELECT * FROM bough.list_tables()")  # type: ignore[arg-type]
    client.execute(f"DROP TABLE c_{name}")  # type: ignore[arg-type]


def test_a_statement_inside_a_command_is_the_sessions_own(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    """Its user, its database and its branch's macros, not the engine's."""
    here = {"u": "alice", "d": "main"}
    said = "SELECT current_user AS u, current_database() AS d"
    assert client.execute(f"QUERY local AS $$ {said} $$").fetchall() == [here]  # type: ignore[arg-type]
    assert _call(client, "read_query", query=said) == [here]
    client.execute(f"CREATE TABLE who_{name} (u text, d text)")  # type: ignore[arg-type]
    client.execute(f"EXECUTE ON local AS $$ INSERT INTO who_{name} {said} $$")  # type: ignore[arg-type]
    assert client.execute(f"SELECT * FROM who_{name}").fetchall() == [here]  # type: ignore[arg-type]
    client.execute(f"TRANSFER ({said}) TO {lake}.who")  # type: ignore[arg-type]
    assert client.execute(f"SELECT * FROM {lake}.who").fetchall() == [here]  # type: ignore[arg-type]
    client.execute(f"CREATE MACRO twice_{name}(x) AS TABLE SELECT x AS a UNION ALL SELECT x")  # type: ignore[arg-type]
    twice = f"SELECT * FROM twice_{name}(7)"
    assert len(client.execute(f"QUERY local AS $$ {twice} $$").fetchall()) == 2  # type: ignore[arg-type]


def test_a_branch_takes_what_its_clients_or_its_engine_write(client: psycopg.Connection[Any]) -> None:
    for ddl in (
        "CREATE TABLE t (id serial, doc jsonb)",
        "CREATE TABLE t (n hugeint, s STRUCT(x INT), l INT[])",
    ):
        assert _call(client, "validate_ddl", datasource="local", ddl=ddl)[0]["errors"] == []
        assert client.execute(f"VALIDATE DDL FOR local DRY RUN AS $$ {ddl} $$").fetchall() == []  # type: ignore[arg-type]
    ddl = "CREATE TABLE t (id int) DUPLICATE KEY (id)"
    (found,) = client.execute(f"VALIDATE DDL FOR local AS $$ {ddl} $$").fetchall()  # type: ignore[arg-type]
    assert (found["rule"], found["position"]) == (
        "clause.forbidden",
        ddl.index("DUPLICATE") + 2,
    )  # as it stands between the dollars


@pytest.mark.mariadb
def test_a_datasource_is_judged_by_its_version(
    client: psycopg.Connection[Any], request: pytest.FixtureRequest, name: str
) -> None:
    server = request.getfixturevalue("mariadb")
    client.execute(
        f"CREATE DATASOURCE v_{name} TYPE mysql OPTIONS (host '{server.host}', port '{server.port}',"
        f" user '{server.user}', password '{server.password}', database '{server.database}')"
    )
    ddl = "CREATE TABLE t (a text DEFAULT 'x')"
    assert _call(client, "validate_ddl", datasource=f"v_{name}", ddl=ddl)[0]["valid"] is True
    assert _call(client, "validate_ddl", datasource="mariadb", ddl=ddl)[0]["valid"] is True
    assert _call(client, "validate_ddl", datasource="mysql", ddl=ddl)[0]["valid"] is False
    (told,) = _call(client, "get_migration_capabilities", datasource=f"v_{name}")
    assert told["version"].startswith("1")
    client.execute(f"DROP DATASOURCE v_{name}")


def test_a_tool_called_as_a_value_gives_json(client: psycopg.Connection[Any], lake: str) -> None:
    cursor = client.execute("SELECT bough.get_migration_capabilities(%s) AS told", ["starrocks"])
    assert cursor.description is not None and cursor.description[0].type_code == 114
    (told,) = (cursor.fetchone() or {})["told"]
    assert told["supported"] is True and isinstance(told["requires"], list) and told["version"] is None
    tables = f"SELECT t ->> 'name' AS name FROM json_array_elements(bough.list_tables('{lake}')) AS x(t)"
    assert client.execute(tables).fetchall() == [{"name": "users"}]  # type: ignore[arg-type]


def test_asyncpg_prepares_a_tool_as_a_value(server: ThreadServer, lake: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="alice", database="main")
        statement = await connection.prepare("SELECT bough.read_query($1, datasource => $2) AS rows")
        assert statement.get_attributes()[0].type.name == "json"
        for _ in range(2):
            found = await statement.fetchval("SELECT id FROM users ORDER BY id LIMIT 1", lake)
            assert json.loads(found) == [{"id": 1}]
        await connection.close()

    asyncio.run(run())


def test_an_empty_text_is_an_argument_left_out(client: psycopg.Connection[Any], lake: str, name: str) -> None:
    """As agents write their defaults down."""
    (moved,) = _call(
        client,
        "transfer_query_result",
        source_sql="SELECT 1 AS a",
        source_datasource="",
        target_table=f"empty_{name}",
        target_datasource="",
    )
    assert (moved["source_datasource"], moved["target_datasource"]) == ("local", "local")
    assert _call(client, "list_tables", datasource=lake, schema_name="")[0]["name"] == "users"
    for schema in ("main", ""):
        told = _call(client, "describe_table", table_name="users", database=lake, schema_name=schema)
        assert told[0]["name"] == "id"
        (text,) = _call(client, "get_table_ddl", table_name="users", database=lake, schema_name=schema)
        assert text["ddl"].startswith("CREATE TABLE users")
    assert (
        _refused(client, "describe_table", table_name="users", database=lake, schema="x").sqlstate == "HV00R"
    )


@pytest.mark.parametrize(
    "where",
    [
        "local",
        "there",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
def test_rows_of_columns_without_names_are_validated(
    client: psycopg.Connection[Any], lake: str, name: str, where: str, request: pytest.FixtureRequest
) -> None:
    to: dict[str, Any] = {"local": {}, "there": {"database": lake}}.get(where, {"database": f"n_{name}"})
    if where in ("postgres", "mariadb"):
        server = request.getfixturevalue(where)
        given = ", ".join(f"{key} '{value}'" for key, value in server.options.items())
        kind = "mysql" if where == "mariadb" else where
        client.execute(f"CREATE DATASOURCE n_{name} TYPE {kind} OPTIONS ({given}, role 'read_write')")  # type: ignore[arg-type]
    table = f"n_{name}"[:40]
    _call(client, "execute_ddl", sql=f"CREATE TABLE {table} (a integer, b integer)", **to)
    for query in ("SELECT 9, 9", f"SELECT x.a, x.a FROM {table} AS x WHERE x.a = 9"):
        insert = f"INSERT INTO {table} {query}"
        if where == "mariadb":  # which cannot take DDL back, and so validates nothing
            assert _refused(client, "execute_write", sql=insert, validate=True, **to).sqlstate == "0A000"
            continue
        (done,) = _call(client, "execute_write", sql=insert, validate=True, **to)
        assert (done["rows_affected"], done["committed"]) == (1, True)
    _call(client, "execute_ddl", sql=f"DROP TABLE {table}", **to)


def test_a_layout_is_suggested_for_a_query_of_a_datasource(
    client: psycopg.Connection[Any], lake: str
) -> None:
    for origin in (f"(SELECT id FROM users) FROM {lake}", f"users FROM {lake}", f"{lake}.main.users"):
        rows = client.execute(f"SUGGEST LAYOUT FOR starrocks ON {origin}").fetchall()  # type: ignore[arg-type]
        assert {row["clause"]: row["columns"] for row in rows}["distributed_by"] == "id"
        assert all(row["reason"] for row in rows)
