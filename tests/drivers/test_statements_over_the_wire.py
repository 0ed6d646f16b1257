"""SQL and branch commands as a client meets them: what works, and what wrong input is told."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled


def refused(connection: psycopg.Connection[Any], text: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(text)
    return caught.value


# -- a branch is a database ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "database", ["nope", "main/nope", "nope@main", "Main", "", "a" * 200, "x'; DROP TABLE t"]
)
def test_an_unknown_branch_at_connect(server: ThreadServer, database: str) -> None:
    if database == "":
        with server.connect("") as connection:  # as in Postgres: the user's name, which opens main
            assert connection.execute("SELECT current_branch()").fetchone() == ("main",)
        return
    with pytest.raises(psycopg.OperationalError) as caught:
        server.connect(database)
    assert "does not exist" in str(caught.value) and "BRANCH CREATE" in str(caught.value)


@pytest.mark.parametrize("form", ["{}", "main@{}", "main/{}", "postgres@{}", "shop/{}", "hatidata@{}"])
def test_database_names_of_a_branch(server: ThreadServer, branch: str, form: str) -> None:
    with server.connect(form.format(branch)) as connection:
        row = connection.execute("SELECT current_branch(), current_database()").fetchone()
        assert row == (branch, form.format(branch))


@pytest.mark.parametrize(
    "database", ["main", "postgres", "bough", "shop", "alice", "hatidata", "iceberg_catalog", "default"]
)
def test_database_names_of_main(server: ThreadServer, database: str) -> None:
    with server.connect(database) as connection:
        assert connection.execute("SELECT current_branch(), current_database()").fetchone() == (
            "main",
            database,
        )
        found = connection.execute("SELECT DISTINCT table_catalog FROM information_schema.tables").fetchall()
        assert found == [(database,)]


def test_a_branch_by_startup_option(server: ThreadServer, branch: str) -> None:
    with server.connect(options=f"-c branch={branch}") as connection:
        assert connection.execute("SHOW branch").fetchone() == (branch,)
        connection.execute("SET branch = 'main'")
        connection.execute("RESET branch")
        assert connection.execute("SHOW branch").fetchone() == (branch,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        server.connect(options="-c branch=nope")


@pytest.mark.parametrize(
    "odd", ['My "Branch"', "ünïcode 分支", "agent/x", "a@b", "x" * 63, "select", "a;b", "'"]
)
def test_odd_names(server: ThreadServer, odd: str) -> None:
    with server.connect() as connection:
        connection.execute(SQL("BRANCH CREATE {}").format(Identifier(odd)))
        with server.connect(odd) as other:
            assert other.execute("SELECT current_branch()").fetchone() == (odd,)
            other.execute("CREATE TABLE t AS SELECT 1 AS x")
        listed = connection.execute("SELECT name, tables_changed FROM bough.branches").fetchall()
        assert (odd, 1) in listed
        connection.execute(SQL("BRANCH DISCARD {}").format(Identifier(odd)))
        assert odd not in [row[0] for row in connection.execute("BRANCH LIST")]


@pytest.mark.parametrize("bad", ["", "a\nb", "x" * 64, "\u202eevil", "zero\u200bwidth"])
def test_impossible_names(server: ThreadServer, bad: str) -> None:
    with server.connect() as connection:
        error = refused(connection, SQL("BRANCH CREATE {}").format(Identifier(bad)).as_string())
        assert error.sqlstate in ("42602", "42601", "42622")


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [
        ("BRANCH", "42601"),
        ("BRANCH FROBNICATE x", "42601"),
        ("BRANCH CREATE", "42601"),
        ("BRANCH CREATE a b c", "42601"),
        ("BRANCH CREATE x FROM nope", "42704"),
        ("BRANCH CREATE x WITH (ttl 'soon')", "22023"),
        ("BRANCH CREATE x WITH (nonsense 1)", "42601"),
        ("BRANCH CREATE main", "42710"),
        ("BRANCH SWITCH nope", "42704"),
        ("SET branch = 'nope'", "42704"),
        ("BRANCH DISCARD nope", "42704"),
        ("BRANCH DISCARD main", None),
        ("BRANCH MERGE nope", "42704"),
        ("BRANCH MERGE main INTO main", None),
        ("BRANCH MERGE x STRATEGY luck", "22023"),
        ("BRANCH DIFF nope", "42704"),
        ("BRANCH STATUS nope", "42704"),
        ("BRANCH RENAME nope TO other", "42704"),
        ("CREATE DATABASE x TEMPLATE nope", "42704"),
        ("DROP DATABASE nope", None),
        ("SHADOW QUERY ON main, nope AS SELECT 1", "42704"),
        ("SHADOW QUERY ON main AS DELETE FROM t", None),
    ],
)
def test_wrong_commands(server: ThreadServer, text: str, sqlstate: str | None) -> None:
    with server.connect() as connection:
        error = refused(connection, text)
        assert error.sqlstate not in ("XX000", None)
        if sqlstate is not None:
            assert error.sqlstate == sqlstate, error
        if sqlstate == "42601":
            assert error.diag.statement_position
        assert connection.execute("SELECT current_branch()").fetchone() == ("main",)


def test_a_branch_until_the_transaction_ends(server: ThreadServer, branch: str) -> None:
    with server.connect() as connection:
        with connection.transaction():
            connection.execute(f"SET LOCAL branch = '{branch}'")
            assert connection.execute("SELECT current_branch()").fetchone() == (branch,)
        assert connection.execute("SELECT current_branch()").fetchone() == ("main",)
        for reset in ("RESET ALL", "DISCARD ALL", "RESET branch", "SET branch TO DEFAULT"):
            connection.execute(f"SET branch = '{branch}'")
            assert connection.info.parameter_status("branch") == branch
            connection.execute(reset)
            assert connection.execute("SHOW branch").fetchone() == ("main",), reset
            assert connection.info.parameter_status("branch") == "main"


def test_databases_as_synonyms(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS x")
        connection.execute(f"CREATE DATABASE {name}_b TEMPLATE main")
        connection.execute(f"ALTER DATABASE {name}_b RENAME TO {name}_c")
        with server.connect(f"{name}_c") as other:
            other.execute(f"UPDATE {name} SET x = 2")
        assert connection.execute(f"SELECT x FROM {name}").fetchone() == (1,)
        assert connection.execute(f"SELECT x FROM {name}_c.public.{name}").fetchone() == (2,)
        assert refused(connection, f"UPDATE {name}_c.public.{name} SET x = 3").sqlstate == "0A000"
        assert refused(connection, f"INSERT INTO {name}_c.public.{name} VALUES (3)").sqlstate == "0A000"
        assert refused(connection, f"DROP TABLE {name}_c.public.{name}").sqlstate == "0A000"
        connection.execute(f"DROP DATABASE {name}_c")
        connection.execute(f"DROP DATABASE IF EXISTS {name}_c")


def test_branch_commands_in_a_block(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int)")
        connection.execute("BEGIN")
        connection.execute(f"BRANCH CREATE {name}_b")
        connection.execute(f"BRANCH SWITCH {name}_b")
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        assert refused(connection, "BRANCH SWITCH main").sqlstate == "25001"
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT current_branch()").fetchone() == (f"{name}_b",)
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        assert refused(connection, f"SELECT * FROM bough.branch_create('{name}_z')").sqlstate == "25001"
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        assert f"{name}_b" in [row[0] for row in connection.execute("BRANCH LIST")]
        connection.execute("COMMIT")


def test_the_whole_round(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text NOT NULL)")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        connection.execute(f"BRANCH CREATE {name}_b")
        with server.connect(f"{name}_b") as branch:
            branch.execute(f"UPDATE {name} SET v = 'B' WHERE id = 2")
            branch.execute(f"DELETE FROM {name} WHERE id = 3")
            branch.execute(f"INSERT INTO {name} VALUES (4, 'd')")
            branch.execute(f"ALTER TABLE {name} ADD COLUMN extra int DEFAULT 7")
        connection.execute(f"UPDATE {name} SET v = 'A' WHERE id = 1")
        summary = connection.execute(f"BRANCH DIFF {name}_b").fetchall()
        assert [row[:6] for row in summary if row[1] == name] == [("public", name, "changed", 1, 1, 1)]
        rows = connection.execute(f"BRANCH DIFF {name}_b TABLE {name} WITH (format 'rows')").fetchall()
        assert [row[0] for row in rows] == ["modified", "removed", "added"]
        merged = connection.execute(f"BRANCH MERGE {name}_b STRATEGY branch_wins").fetchall()
        assert [row[:5] for row in merged if row[1] == name] == [("public", name, 1, 1, 1)]
        assert connection.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() == [
            (1, "A", 7), (2, "B", 7), (4, "d", 7),
        ]  # fmt: skip
        assert refused(connection, f"INSERT INTO {name} VALUES (1, 'x', 1)").sqlstate == "23505"
        connection.execute(f"BRANCH DISCARD {name}_b")


# -- the fence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('x.parquet')",
        "ATTACH '/tmp/x.duckdb'",
        "ATTACH ':memory:' AS m",
        "DETACH main",
        "USE bough_data",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "CHECKPOINT bough",
        "EXPORT DATABASE '/tmp/x'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "COPY t FROM '/etc/passwd'",
        "COPY t FROM PROGRAM 'id'",
        "SET GLOBAL enable_external_access = true",
        "SET enable_external_access = true",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('t')",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT getenv('HOME')",
        "CREATE SECRET (TYPE s3)",
        "CALL pragma_version()",
    ],
)
def test_what_could_leave_the_branch_is_refused(server: ThreadServer, text: str) -> None:
    with server.connect() as connection:
        try:
            connection.execute(text)
        except psycopg.Error as error:
            assert error.sqlstate in (
                "42501",
                "0A000",
                "42704",
                "42601",
                "42P01",
                "3F000",
                "42883",
                "3D000",
            ), error
            assert "bough_" not in str(error)
        else:
            assert text == "SELECT * FROM duckdb_tables()" or text.startswith("CHECKPOINT")


def test_the_database_file_is_out_of_reach(server: ThreadServer) -> None:
    path = Path(server.settings.file)
    with server.connect() as connection:
        for name in (path, f"{path}.wal", path.parent, path.name):
            for call in ("read_blob", "read_text"):
                assert refused(connection, f"SELECT * FROM {call}('{name}')").sqlstate == "42501"


CATALOG = [
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM information_schema.table_constraints",
    "SELECT * FROM information_schema.key_column_usage",
    "SELECT nspname FROM pg_catalog.pg_namespace",
    "SELECT relname FROM pg_catalog.pg_class",
    "SELECT attname FROM pg_catalog.pg_attribute",
    "SELECT datname FROM pg_catalog.pg_database",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_catalog.pg_views",
    "SELECT * FROM pg_catalog.pg_indexes",
    "SHOW ALL",
    "SELECT name, setting FROM pg_settings",
]  # fmt: skip


def test_storage_never_shows(server: ThreadServer, name: str) -> None:
    hidden = re.compile(r"_bough|bough_(data|meta|fn)|\b_rid\b")
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text CHECK (v <> ''))")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'a')")
        connection.execute(f"BRANCH CREATE {name}_b")
        with server.connect(f"{name}_b") as branch:
            branch.execute(f"UPDATE {name} SET v = 'b'")
            for text, on in itertools.product(CATALOG, (connection, branch)):
                for row in on.execute(text):
                    found = hidden.search(" ".join(str(value) for value in row))
                    assert not found or row[0] in ("server_version",), (text, row)
            for on in (connection, branch):
                assert [c.name for c in on.execute(f"SELECT * FROM {name}").description or ()] == ["id", "v"]
                for text in (
                    f"INSERT INTO {name} VALUES (1, 'x')",
                    f"INSERT INTO {name} VALUES (5, '')",
                    f"INSERT INTO {name} VALUES (5, 'x', 7)",
                    f"SELECT _rid FROM {name}",
                    f"SELECT nope FROM {name}",
                    f"ALTER TABLE {name} DROP COLUMN nope",
                    f"SELECT {name} + 1 FROM {name}",
                ):
                    error = refused(on, text)
                    assert error.sqlstate != "XX000"
                    shown = f"{error} {error.diag.message_detail}".replace(text, "")
                    assert not re.search(r"_bough|bough_data\.|bough_fn", shown), (text, shown)
                plan = "\n".join(row[0] for row in on.execute(f"EXPLAIN SELECT * FROM {name}"))
                assert not hidden.search(plan), plan


# -- SQL -----------------------------------------------------------------------------------------------------


def test_prepare_and_execute(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int, t text)")
        connection.execute(f"PREPARE {name}_i (int, text) AS INSERT INTO {name} VALUES ($1, $2)")
        assert connection.execute(f"EXECUTE {name}_i (1, 'a')").statusmessage == "INSERT 0 1"
        connection.execute(f"EXECUTE {name}_i (1 + 1, upper('b'))")
        connection.execute(f"PREPARE {name}_s AS SELECT * FROM {name} WHERE i = $1")
        assert connection.execute(f"EXECUTE {name}_s (2)").fetchall() == [(2, "B")]
        assert refused(connection, f"EXECUTE {name}_s").sqlstate == "42601"
        assert refused(connection, "EXECUTE nope").sqlstate == "26000"
        connection.execute("DEALLOCATE ALL")
        assert refused(connection, f"EXECUTE {name}_s (2)").sqlstate == "26000"


def test_temporary_tables_views_and_sequences(server: ThreadServer, name: str) -> None:
    with server.connect() as connection, server.connect() as other:
        connection.execute(f"CREATE TEMP TABLE {name} (i int)")
        connection.execute(f"INSERT INTO {name} VALUES (1), (2)")
        assert connection.execute(f"SELECT sum(i) FROM {name}").fetchone() == (3,)
        assert refused(other, f"SELECT * FROM {name}").sqlstate == "42P01"
        connection.execute("DISCARD TEMP")
        assert refused(connection, f"SELECT * FROM {name}").sqlstate == "42P01"
        connection.execute(f"CREATE TABLE {name} (id serial PRIMARY KEY, v int DEFAULT 5)")
        assert connection.execute(f"INSERT INTO {name} DEFAULT VALUES RETURNING id, v").fetchone() == (1, 5)
        assert connection.execute(f"INSERT INTO {name} (v) VALUES (6) RETURNING *").fetchone() == (2, 6)
        connection.execute(f"CREATE OR REPLACE VIEW {name}_v AS SELECT v FROM {name} WHERE id > 1")
        assert other.execute(f"SELECT * FROM {name}_v").fetchall() == [(6,)]
        connection.execute(f"CREATE SEQUENCE {name}_s START 10")
        assert connection.execute(f"SELECT nextval('{name}_s')").fetchone() == (10,)
        assert other.execute(f"SELECT nextval('{name}_s')").fetchone() == (11,)
        upsert = f"INSERT INTO {name} VALUES (1, 9) ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING v"
        assert connection.execute(upsert).fetchone() == (9,)


def test_show_all_and_settings(server: ThreadServer) -> None:
    with server.connect() as connection:
        rows = connection.execute("SHOW ALL").fetchall()
        assert {"branch", "statement_timeout", "search_path", "TimeZone"} <= {row[0] for row in rows}
        connection.execute("SET hatidata_request_id = 'req-9'")
        assert connection.execute("SELECT current_setting('hatidata_request_id')").fetchone() == ("req-9",)
        assert refused(connection, "SET no_such_setting = 1").sqlstate == "42704"
        assert refused(connection, "SET statement_timeout = 'soon'").sqlstate == "22023"
        assert connection.execute("SELECT set_config('app.x', 'y', false)").fetchone() == ("y",)
        assert connection.execute("SHOW app.x").fetchone() == ("y",)


def test_a_time_zone_is_shown_in(server: ThreadServer) -> None:
    with server.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        text = connection.execute("SELECT '2024-01-01 00:00:00+00'::timestamptz::text").fetchone()
        assert text == ("2024-01-01 09:00:00+09",)
        raw = connection.execute("SELECT '2024-01-01 00:00:00+00'::timestamptz").pgresult
        assert raw is not None and raw.get_value(0, 0) == b"2024-01-01 09:00:00+09"
        refused(connection, "SET TimeZone = 'Mars/Olympus'")


def test_a_granted_file_is_a_table(start: Any, tmp_path: Path) -> None:
    """``FROM 'file.parquet'`` reads below a granted directory, and only there."""
    granted, other = tmp_path / "granted", tmp_path / "other"
    for folder in (granted, other):
        folder.mkdir()
        (folder / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    server = start(file_directories=str(granted))
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        assert connection.execute(f"SELECT a, b FROM '{granted}/rows.csv' ORDER BY a").fetchall() == [
            (1, "x"),
            (2, "y"),
        ]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM '{other}/rows.csv'")


@pytest.mark.parametrize("rows", [1, 5000])
def test_a_numeric_without_a_scale_shows_no_zeros_of_its_own(server: ThreadServer, rows: int) -> None:
    """Few rows are encoded in Python, many by the engine: both leave out what the fixed scale adds."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        found = connection.execute(
            "SELECT 1.5::numeric, 100::numeric, 0::numeric, (-2.50)::numeric, 1.50::numeric(6, 2)"
            f" FROM generate_series(1, {rows})"
        ).fetchall()
    assert {tuple(map(str, row)) for row in found} == {("1.5", "100", "0", "-2.5", "1.50")}
    assert len(found) == rows


def test_age_of_moments_and_of_transactions(server: ThreadServer) -> None:
    with server.connect() as connection:
        told = connection.execute(
            "SELECT CAST(age(timestamp '2024-03-01', timestamp '2024-01-01') AS text), "
            "age(now() - interval '3 days') > interval '1 day'"  # it counts from midnight
        ).fetchone()
        assert told is not None and told[1] is True and told[0] in ("2 mons", "2 months")
        query = "SELECT age(datfrozenxid) FROM pg_database LIMIT 1"
        cursor = connection.execute(query)
        assert cursor.description is not None and cursor.description[0].name == "age"
        assert cursor.fetchone() == (1,)


def test_the_trunk_is_never_discarded(server: ThreadServer) -> None:
    with server.connect() as connection:
        caught = refused(connection, "BRANCH DISCARD main")
        assert "main" in str(caught)
        assert connection.execute("SELECT current_branch()").fetchone() == ("main",)


def test_a_read_of_another_branch_follows_it(server: ThreadServer, name: str) -> None:
    """The plan of a text is kept; that of one which reads elsewhere must not be."""
    with server.connect() as client, server.connect() as other:
        client.execute(f"CREATE TABLE {name} (i INT)")
        client.execute(f"INSERT INTO {name} VALUES (1)")
        client.execute(f"BRANCH CREATE b_{name}")
        other.execute(f"BRANCH SWITCH b_{name}")
        other.execute(f"INSERT INTO {name} VALUES (2)")
        client.execute(f"INSERT INTO {name} VALUES (3)")
        text = f"SELECT * FROM b_{name}.public.{name} ORDER BY 1"
        assert [client.execute(text).fetchall() for _ in range(3)] == [[(1,), (2,)]] * 3
        other.execute(f"ALTER TABLE {name} ADD COLUMN j INT DEFAULT 7")
        assert client.execute(text).fetchall() == [(1, 7), (2, 7)]
        other.execute("BRANCH SWITCH main")
        client.execute(f"BRANCH DISCARD b_{name}")
        with pytest.raises(psycopg.errors.UndefinedObject):
            client.execute(text)


def test_the_current_schema_is_one_that_exists(server: ThreadServer, name: str) -> None:
    """The default path begins with the user's own schema, which nobody has until it is made."""
    with server.connect() as client:
        schema = "SELECT current_schema(), current_schemas(false), current_schemas(true)"
        assert client.execute(schema).fetchone() == ("public", ["public"], ["pg_catalog", "public"])
        client.execute("CREATE SCHEMA alice")
        assert client.execute(schema).fetchone() == (
            "alice", ["alice", "public"], ["pg_catalog", "alice", "public"],
        )  # fmt: skip
        client.execute(f"CREATE TABLE {name} (i int)")
        found = client.execute("SELECT schemaname FROM pg_tables WHERE tablename = %s", (name,)).fetchall()
        assert found == [("alice",)]
        client.execute("DROP SCHEMA alice CASCADE")
        client.execute("SET search_path = nowhere")
        assert client.execute(schema).fetchone() == (None, [], ["pg_catalog"])
        client.execute("SET search_path = public, pg_catalog")
        assert client.execute(schema).fetchone() == (
            "public",
            ["public", "pg_catalog"],
            ["public", "pg_catalog"],
        )


def test_macros(server: ThreadServer, name: str) -> None:
    """DuckDB's CREATE MACRO, from a Postgres client."""
    with server.connect() as client:
        table, macro = f"t_{name}"[:40], f"m_{name}"[:40]
        client.execute(f"CREATE TABLE {table} (a int)")
        client.execute(f"INSERT INTO {table} VALUES (1), (2)")
        client.execute(f"CREATE OR REPLACE MACRO {macro}(x) AS x * 2")
        client.execute(f"CREATE FUNCTION {macro}_rows(n) AS TABLE SELECT a FROM {table} WHERE a >= n")
        assert client.execute(f"SELECT {macro}(a) FROM {macro}_rows(%s)", (2,)).fetchall() == [(4,)]
        found = client.execute(f"SELECT {macro}(21)")
        assert [column.name for column in found.description or ()] == [macro]
        assert found.fetchall() == [(42,)]
        listed = "SELECT proname, proretset FROM pg_proc WHERE proname LIKE %s ORDER BY 1"
        assert client.execute(listed, (f"{macro}%",)).fetchall() == [(macro, False), (f"{macro}_rows", True)]
        for text, sqlstate in (
            (f"CREATE MACRO {macro}(x) AS x", "42723"),
            ("CREATE MACRO abs(x) AS x", "42723"),
            ("CREATE MACRO several(a) AS a, (a, b) AS a + b", "0A000"),
            ("CREATE TEMP MACRO aside(a) AS a", "0A000"),
            ("CREATE MACRO typed(a int) AS a", "0A000"),
            ("CREATE MACRO home() AS getenv('HOME')", "0A000"),
            ("CREATE MACRO file() AS TABLE SELECT * FROM read_csv('/etc/passwd')", "42501"),
            (f"SELECT {macro}(1, 2)", "42883"),
            ("DROP MACRO nothing_of_that_name", "42883"),
        ):
            with pytest.raises(psycopg.Error) as caught:
                client.execute(text)
            assert caught.value.sqlstate == sqlstate, text
        client.execute(f"DROP MACRO TABLE {macro}_rows")
        client.execute(f"DROP MACRO IF EXISTS {macro}")
        client.execute(f"DROP MACRO IF EXISTS {macro}")


@pytest.mark.parametrize("place", ["main", "branch"])
def test_upserts_by_the_name_of_a_constraint(server: ThreadServer, name: str, place: str) -> None:
    table = f"t_{place}_{name}"[:50]
    with server.connect() as main:
        main.execute(f"CREATE TABLE {table} (a int, b int, v text, CONSTRAINT pair UNIQUE (a, b))")
        main.execute(f"INSERT INTO {table} VALUES (1, 1, 'old')")
        branch = f"b_{table}"[:50]
        main.execute(f"BRANCH CREATE {branch}")
    with server.connect("main" if place == "main" else branch) as client:
        upsert = f"INSERT INTO {table} VALUES (1, %s, 'new') ON CONFLICT ON CONSTRAINT pair"
        changed = f"{upsert} DO UPDATE SET v = excluded.v || {table}.v RETURNING v"
        assert client.execute(changed, (1,)).fetchall() == [("newold",)]
        assert client.execute(f"{upsert} DO NOTHING", (1,)).rowcount == 0
        assert client.execute(f"{upsert} DO NOTHING", (2,)).rowcount == 1
        error = refused(
            client, f"INSERT INTO {table} VALUES (1, 1, 'x') ON CONFLICT ON CONSTRAINT other DO NOTHING"
        )
        assert error.sqlstate == "42704" and "pair" in (error.diag.message_detail or "")


@pytest.mark.parametrize("place", ["main", "branch"])
def test_a_deleted_parent_sets_defaults(server: ThreadServer, name: str, place: str) -> None:
    parent, child = f"p_{place}_{name}"[:50], f"c_{place}_{name}"[:50]
    with server.connect() as main:
        main.execute(f"CREATE TABLE {parent} (id int PRIMARY KEY)")
        main.execute(f"INSERT INTO {parent} VALUES (1), (2)")
        main.execute(
            f"CREATE TABLE {child} (id int, p int DEFAULT 1 REFERENCES {parent} ON DELETE SET DEFAULT,"
            f" q int REFERENCES {parent} ON DELETE SET DEFAULT)"
        )
        main.execute(f"INSERT INTO {child} VALUES (1, 2, 2)")
        branch = f"b_{parent}"[:50]
        main.execute(f"BRANCH CREATE {branch}")
    with server.connect("main" if place == "main" else branch) as client:
        client.execute(f"DELETE FROM {parent} WHERE id = 2")
        assert client.execute(f"SELECT * FROM {child}").fetchall() == [(1, 1, None)]
        assert refused(client, f"DELETE FROM {parent} WHERE id = 1").sqlstate == "23503"
        assert client.execute(f"SELECT count(*) FROM {parent}").fetchall() == [(1,)]


def test_a_schema_cannot_have_the_name_of_the_file(server: ThreadServer, branch: str) -> None:
    for place in ("main", branch):
        with server.connect(place) as connection:
            error = refused(connection, "CREATE SCHEMA Shop")
            assert error.sqlstate == "0A000" and "the database file has that name" in str(error)
