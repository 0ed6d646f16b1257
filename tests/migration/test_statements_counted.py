"""The row guard of EXECUTE counts every row, however a statement is written, or refuses it. REPLACE is a write of rows
like INSERT, and what an engine runs in no transaction runs without one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from targets import marked, opened_target, without

from migration.connectors.base import Connector
from migration.errors import MigrationError
from migration.statements import check_statement


def _rows(connector: Connector) -> list[dict[str, object]]:
    with connector.reader() as reader:
        return reader.fetch("SELECT id, v FROM replaced ORDER BY id").to_pylist()


@pytest.mark.parametrize("engine", marked("sqlite", "mariadb"))
def test_replace_can_be_tried_guarded_and_carried_out(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with without("replaced", opened_target(engine, tmp_path, request)) as target:
        target.execute("CREATE TABLE replaced (id int PRIMARY KEY, v int)")
        target.execute("INSERT INTO replaced VALUES (1, 1)")
        statement = "/* new */ REPLACE INTO replaced VALUES (1, 2), (2, 2)"
        found = target.execute(statement, dry_run=True)
        assert (found.tag, found.committed) == ("DML", False)
        assert found.rows is not None and found.rows >= 2
        with pytest.raises(MigrationError) as refusal:
            target.execute(statement, rows_between=(0, 1))
        assert refusal.value.sqlstate == "P0004"
        assert _rows(target) == [{"id": 1, "v": 1}]
        assert target.execute(statement).committed
        assert _rows(target) == [{"id": 1, "v": 2}, {"id": 2, "v": 2}]


_EVERYWHERE = (
    "/* all of them */ DELETE FROM guarded",
    "-- all\nUPDATE guarded SET a = a + 1",
    "DROP TABLE guarded",
)
_GIVEN_BACK = (
    "DELETE FROM guarded RETURNING a",
    "INSERT INTO guarded SELECT a + 100 FROM guarded RETURNING 1",
)
_WITH = "WITH one AS (SELECT 1 AS b) DELETE FROM guarded"
_WITH_WRITES = (
    "WITH gone AS (DELETE FROM guarded RETURNING a) SELECT count(*) FROM gone",
    "WITH gone AS (DELETE FROM guarded RETURNING a) INSERT INTO guarded SELECT max(a) FROM gone",
)


@pytest.mark.parametrize(
    ("engine", "more"),
    [
        ("sqlite", (*_GIVEN_BACK, _WITH)),
        ("duckdb", (*_GIVEN_BACK, _WITH, "TRUNCATE guarded")),
        pytest.param("mariadb", (*_GIVEN_BACK, "# all\nDELETE FROM guarded"), marks=pytest.mark.mariadb),
        pytest.param(
            "postgres", (*_GIVEN_BACK, _WITH, *_WITH_WRITES, "TRUNCATE guarded"), marks=pytest.mark.postgres
        ),
    ],
)
def test_no_row_slips_past_the_guard(
    engine: str, more: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with without("guarded", opened_target(engine, tmp_path, request)) as target:
        target.execute("CREATE TABLE guarded (a int)")
        target.execute("INSERT INTO guarded VALUES (1), (2), (3), (4), (5), (6), (7)")
        for statement in (*_EVERYWHERE, *more):
            with pytest.raises(MigrationError) as refusal:
                target.execute(statement, rows_between=(0, 5))
            assert refusal.value.sqlstate in ("P0004", "0A000"), statement
            with target.reader() as reader:
                found = reader.fetch("SELECT sum(a) AS s, count(*) AS n FROM guarded").to_pylist()
            assert [(int(row["s"]), row["n"]) for row in found] == [(28, 7)], statement
        found = target.execute("/* one */ DELETE FROM guarded WHERE a = 7 ", rows_between=(1, 1))
        assert (found.rows, found.committed) == (1, True)


@pytest.mark.mariadb
def test_a_replace_that_could_not_be_taken_back_is_not_tried(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with without("replaced", opened_target("mariadb", tmp_path, request)) as target:
        target.execute("CREATE TABLE replaced (id int PRIMARY KEY, v int) ENGINE = MyISAM")
        with pytest.raises(MigrationError) as refusal:
            target.execute("replace low_priority replaced SET id = 1, v = 1", dry_run=True)
        assert refusal.value.sqlstate == "0A000" and "cannot be taken back" in refusal.value.message
        assert _rows(target) == []


@pytest.mark.parametrize(
    ("dialect", "text", "kind"),
    [
        ("mysql", "-- x\nreplace t SET a = 1", "dml"),
        ("mysql", "INSERT DELAYED t VALUES (1)", "dml"),
        ("sqlite", "REPLACE INTO t SELECT 1", "dml"),
        ("mysql", "CREATE OR REPLACE VIEW v AS SELECT 1", "ddl"),
    ],
)
def test_what_a_statement_is(dialect: str, text: str, kind: str) -> None:
    assert check_statement(text, dialect) == kind


def test_a_second_statement_behind_a_replace_is_refused() -> None:
    with pytest.raises(MigrationError) as refusal:
        check_statement("REPLACE INTO t VALUES (1); DROP TABLE t", "mysql")
    assert refusal.value.sqlstate == "42601"


@pytest.mark.parametrize(
    ("engine", "statement"),
    [
        pytest.param("postgres", "VACUUM", marks=pytest.mark.postgres),
        pytest.param("postgres", "CREATE DATABASE made_alone", marks=pytest.mark.postgres),
        ("sqlite", "VACUUM"),
    ],
)
def test_what_runs_in_no_transaction_runs_without_one(
    engine: str, statement: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with closing(opened_target(engine, tmp_path, request)) as target:
        target.execute("CREATE TABLE IF NOT EXISTS any_table (a int)")
        with pytest.raises(MigrationError) as refusal:
            target.execute(statement, dry_run=True)
        assert "without DRY RUN" in (refusal.value.hint or "")
        assert target.execute(statement).committed
        if "DATABASE" in statement:
            assert "made_alone" in target.databases()
            target.execute("DROP DATABASE made_alone")
        target.execute("DROP TABLE any_table")
