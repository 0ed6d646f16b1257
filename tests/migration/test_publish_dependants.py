"""What a table has besides the rows that move survives a transfer: other columns, an owner, settings, other tables'
rows. What would change the rows on their way into it is noticed, and nothing is published."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.schema.transfer import requests, run_schema
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest, TransferResult

pytestmark = pytest.mark.sampled

POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
CLICKHOUSE = pytest.param("clickhouse", marks=pytest.mark.clickhouse)
PLAIN = "CREATE TABLE things (id int NOT NULL PRIMARY KEY, v varchar(20))"
MOVED = [(1, "one"), (2, "two")]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, v VARCHAR)")
        connection.execute("INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    with closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as connector:
        yield connector


@pytest.fixture
def target(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    options = {"role": "read_write"}
    if engine in ("duckdb", "sqlite"):
        options["path"] = str(tmp_path / f"target.{engine}")
        if engine == "duckdb":
            duckdb.connect(options["path"]).close()
        else:
            Path(options["path"]).touch()
    else:
        server: Server = request.getfixturevalue(engine)
        options |= {"host": server.host, "port": str(server.port), "user": server.user}
        options |= {"password": server.password, "database": server.database}
    type_ = "mysql" if engine == "mariadb" else engine
    with closing(connect(datasource("there", type_, options))) as connector:
        yield connector
        for name in ("refer", "child", "things"):
            connector.execute(f"DROP TABLE IF EXISTS {name}")
        if engine == "postgres":
            connector.execute("DROP SCHEMA IF EXISTS looped CASCADE")
            connector.execute("DROP SCHEMA IF EXISTS looped_copy CASCADE")
            connector.execute("DROP FUNCTION IF EXISTS meddle() CASCADE")
            connector.execute("DROP ROLE IF EXISTS landlord")


def where(engine: str) -> tuple[str, ...]:
    return {"duckdb": ("main", "things"), "postgres": ("public", "things")}.get(engine, ("things",))


def moved(source: Connector, target: Connector, engine: str, mode: str, **options: Any) -> TransferResult:
    request = TransferRequest(
        Source(path=("main", "s")),
        where(engine),
        mode=mode,  # type: ignore[arg-type]
        key=("id",) if mode == "upsert" else (),
        options=TransferOptions(**options),
    )
    return run(plan(request, source, target))


def rows(target: Connector, text: str) -> list[tuple[Any, ...]]:
    with target.writer() as writer:
        return [tuple(row) for row in writer.rows(text)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["duckdb", "sqlite", POSTGRES, MARIADB])
def test_columns_that_do_not_move_are_left_alone(source: Connector, target: Connector, engine: str) -> None:
    target.execute(
        "CREATE TABLE things (id int NOT NULL PRIMARY KEY, v varchar(20), w int DEFAULT 7, x varchar(9))"
    )
    target.execute("INSERT INTO things VALUES (1, 'old', 5, 'keep')")
    moved(source, target, engine, "upsert")
    found = rows(target, "SELECT * FROM things ORDER BY id")
    assert found == [(1, "one", 5, "keep"), (2, "two", 7, None)]


@pytest.mark.clickhouse
@pytest.mark.parametrize("engine", [CLICKHOUSE])
def test_whole_rows_are_no_upsert_of_a_part(source: Connector, target: Connector, engine: str) -> None:
    target.execute(
        "CREATE TABLE things (id Int32, v Nullable(String), w Nullable(Int32)) ENGINE = MergeTree ORDER BY id"
    )
    target.execute("INSERT INTO things VALUES (1, 'old', 5)")
    with pytest.raises(MigrationError, match="columns that do not move: w") as caught:
        moved(source, target, engine, "upsert")
    assert (caught.value.sqlstate, bool(caught.value.hint)) == ("0A000", True)
    assert rows(target, "SELECT * FROM things") == [(1, "old", 5)]


@pytest.mark.parametrize("engine", [POSTGRES])
def test_what_staging_refuses_is_said_of_the_target(
    source: Connector, target: Connector, engine: str
) -> None:
    target.execute("CREATE TABLE things (id int PRIMARY KEY CHECK (id < 2), v text, w int)")
    with pytest.raises(MigrationError) as caught:
        moved(source, target, engine, "replace")
    assert (caught.value.sqlstate, caught.value.table) == ("23514", "things")
    target.execute("ALTER TABLE things ALTER w SET NOT NULL")
    with pytest.raises(MigrationError, match='column "w" of table "things" is NOT NULL'):
        moved(source, target, engine, "replace")


MEDDLING = {
    "postgres": (
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF new.id = 1 THEN RETURN NULL; END IF; RETURN new; END $$",
        "CREATE TRIGGER meddles BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION meddle()",
    ),
    "mariadb": ("CREATE TRIGGER meddles BEFORE INSERT ON things FOR EACH ROW SET new.v = upper(new.v)",),
    "sqlite": (
        "CREATE TRIGGER meddles AFTER INSERT ON things BEGIN UPDATE things SET v = upper(v) WHERE id = new.id; END",
    ),
}


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize("engine", ["sqlite", POSTGRES, MARIADB])
def test_a_trigger_that_changes_or_drops_rows_is_noticed(
    source: Connector, target: Connector, engine: str, mode: str, tmp_path: Path
) -> None:
    target.execute(PLAIN)
    target.execute("INSERT INTO things VALUES (9, 'old')")
    for statement in MEDDLING[engine]:
        if engine == "sqlite":
            with closing(sqlite3.connect(tmp_path / "target.sqlite")) as file:
                file.execute(statement)
        else:
            target.execute(statement)
    with pytest.raises(MigrationError, match="does not keep the rows it is given: trigger") as caught:
        moved(source, target, engine, mode)
    assert (caught.value.sqlstate, bool(caught.value.hint)) == ("VT002", True)
    assert "one" in (caught.value.detail or "")
    assert rows(target, "SELECT * FROM things") == [(9, "old")]


@pytest.mark.parametrize("engine", [POSTGRES])
def test_a_trigger_may_fill_what_does_not_move(source: Connector, target: Connector, engine: str) -> None:
    target.execute("CREATE TABLE things (id int PRIMARY KEY, v text, w text)")
    target.execute("INSERT INTO things VALUES (1, 'old', 'old')")
    target.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.w = 'filled'; RETURN new; END $$"
    )
    target.execute(
        "CREATE TRIGGER fills BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    for mode in ("upsert", "replace"):
        moved(source, target, engine, mode)
        found = rows(target, "SELECT * FROM things ORDER BY id")
        assert found == [(1, "one", "filled"), (2, "two", "filled")]


@pytest.mark.parametrize("engine", [POSTGRES])
def test_a_rule_that_swallows_rows_is_noticed(source: Connector, target: Connector, engine: str) -> None:
    target.execute(PLAIN)
    target.execute("INSERT INTO things VALUES (9, 'old')")
    target.execute("CREATE RULE swallow AS ON INSERT TO things DO INSTEAD NOTHING")
    with pytest.raises(MigrationError, match="rule"):
        moved(source, target, engine, "replace")
    assert rows(target, "SELECT * FROM things") == [(9, "old")]


@pytest.mark.parametrize("engine", [POSTGRES])
def test_rows_of_tables_that_inherit_are_not_lost(source: Connector, target: Connector, engine: str) -> None:
    target.execute(PLAIN)
    target.execute("CREATE TABLE child () INHERITS (things)")
    target.execute("INSERT INTO child VALUES (50, 'kid')")
    with pytest.raises(MigrationError, match="other tables inherit from it") as caught:
        moved(source, target, engine, "replace")
    assert (caught.value.sqlstate, caught.value.detail) == (
        "0A000",
        "The rows of child would be lost with its own.",
    )
    moved(source, target, engine, "append")
    assert rows(target, "SELECT * FROM things ORDER BY id") == [*MOVED, (50, "kid")]


@pytest.mark.parametrize("engine", [POSTGRES])
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_a_column_that_is_always_generated_takes_the_numbers_that_move(
    source: Connector, target: Connector, engine: str, mode: str
) -> None:
    target.execute("CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY (START 40) PRIMARY KEY, v text)")
    target.execute("INSERT INTO things (v) VALUES ('old')")
    moved(source, target, engine, mode)
    kept = [] if mode == "replace" else [(40, "old")]
    assert rows(target, "SELECT * FROM things ORDER BY id") == [*MOVED, *kept]


_FACTS = (
    "SELECT obj_description(c.oid), reloptions::text, relpersistence, relreplident, relowner::regrole::text, "
    "attstattarget FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'v' WHERE relname = 'things'"
)


@pytest.mark.parametrize("engine", [POSTGRES])
@pytest.mark.parametrize(
    "statement",
    [
        "COMMENT ON TABLE things IS 'known to all'",
        "ALTER TABLE things SET (fillfactor = 70)",
        "ALTER TABLE things SET UNLOGGED",
        "ALTER TABLE things REPLICA IDENTITY FULL",
        "ALTER TABLE things OWNER TO landlord",
        "ALTER TABLE things ALTER v SET STATISTICS 500",
    ],
)
def test_a_replaced_table_keeps_owner_comment_and_settings(
    source: Connector, target: Connector, engine: str, statement: str
) -> None:
    target.execute("CREATE ROLE landlord")
    target.execute(PLAIN)
    target.execute(statement)
    before = rows(target, _FACTS)
    moved(source, target, engine, "replace")
    assert rows(target, _FACTS) == before
    assert rows(target, "SELECT * FROM things ORDER BY id") == MOVED


@pytest.mark.parametrize("engine", ["duckdb", POSTGRES, MARIADB])
@pytest.mark.postgres
def test_a_table_that_refers_to_itself_moves_with_its_schema(
    postgres: Server, target: Connector, engine: str
) -> None:
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user, "role": "read_write"}
    with closing(connect(datasource("from", "postgres", options | {"database": postgres.database}))) as pg:
        pg.execute("DROP SCHEMA IF EXISTS looped CASCADE")
        pg.execute("CREATE SCHEMA looped")
        pg.execute("CREATE TABLE looped.tree (id int PRIMARY KEY, up int REFERENCES looped.tree (id))")
        pg.execute("INSERT INTO looped.tree VALUES (1, NULL), (2, 1), (3, 2)")
        items = requests("looped", pg, ("looped_copy",), TransferOptions(), target_name=target.name)
        (result,) = run_schema(items, pg, target)
        assert result.rows_transferred == 3
        keys = [key for key in target.describe(("looped_copy", "tree")).spec.keys if key.kind == "foreign"]
        pg.execute("DROP SCHEMA looped CASCADE")
    if engine == "duckdb":  # which would refuse the rows
        assert not keys
        assert any("foreign key (up) is left out" in note for note in result.notes)
    else:
        assert [key.ref_table[-1] for key in keys] == ["tree"]
    target.execute("DROP TABLE looped_copy.tree")


@pytest.mark.parametrize("engine", [POSTGRES])
def test_two_upserts_of_a_key_without_an_index_come_one_after_the_other(
    source: Connector, target: Connector, engine: str
) -> None:
    target.execute("CREATE TABLE things (id int, v varchar(20))")
    target.execute("CREATE TABLE things__stg_1 AS SELECT 1 AS id, 'first'::varchar(20) AS v")
    other = threading.Thread(target=moved, args=(source, target, engine, "upsert"))
    with target.writer() as writer:
        with writer.transaction():  # type: ignore[attr-defined]
            writer.publish(("public", "things__stg_1"), where(engine), "upsert", ["id"])
            other.start()
            while other.is_alive() and not rows(target, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)
        other.join()
    assert rows(target, "SELECT id, v FROM things ORDER BY id") == MOVED
