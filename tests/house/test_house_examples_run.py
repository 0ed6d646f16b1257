"""The pages of docs/examples run, statement by statement, against real servers and one stand-in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from test_house_workflows import (  # noqa: F401  (fixtures)
    connection,
    sample,
)
from test_house_workflows import test_a_workflow_does_what_its_page_says as follow

pytestmark = pytest.mark.sampled

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "examples"
sys.path.append(str(ROOT / "tests" / "migration"))
Session = psycopg.Connection[Any]


def _verdicts(session: Session, statement: str) -> list[str]:
    cursor = session.execute(statement.encode())
    names = [column.name for column in cursor.description or ()]
    return [row[names.index("status")] for row in cursor.fetchall()]


def test_there_is_a_page_for_each_example() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {
        "daily-summary", "duckdb-to-greenplum", "mariadb-branch-merge", "mysql-to-starrocks",
    }  # fmt: skip


def test_daily_summary(connection: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    (tmp_path / "reports.sqlite").touch()
    monkeypatch.setenv("SUMMARY_FILE", str(tmp_path / "reports.sqlite"))
    follow(PAGES / "daily-summary.md", connection)
    transfers = connection.execute("SHOW TRANSFERS").fetchall()
    assert len(transfers) == 3
    found = _verdicts(connection, "RECONCILE daily_summary WITH reports.main.daily_summary KEY (day, origin)")
    assert set(found) == {"pass"}


@pytest.mark.postgres
def test_duckdb_to_greenplum(connection: Session, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from greenplum_stand_in import greenplum_server
    from servers import postgres_server

    with postgres_server() as server, greenplum_server(server.port) as proxy:
        monkeypatch.setenv("GREENPLUM_PORT", str(proxy.port))
        monkeypatch.setenv("GREENPLUM_USER", server.user)
        follow(PAGES / "duckdb-to-greenplum.md", connection)
        assert proxy.seen == ["DISTRIBUTED BY (tailnum)"]
        errors = connection.execute(
            b"VALIDATE DDL FOR warehouse AS $$ CREATE TABLE p (a text PRIMARY KEY, b int) DISTRIBUTED BY (b) $$"
        ).fetchall()
        assert any("DISTRIBUTED BY" in str(row) or "distribut" in str(row) for row in errors)
        found = _verdicts(
            connection, "RECONCILE planes WITH warehouse.public.planes KEY (tailnum) CHECKS ALL"
        )
        assert set(found) == {"pass"}
        connection.execute("DROP DATASOURCE warehouse")


@pytest.mark.mariadb
def test_mysql_to_starrocks(connection: Session, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from servers import mariadb_server

    with mariadb_server() as server:
        for name, value in (("PORT", str(server.port)), ("USER", server.user), ("PASSWORD", server.password)):
            monkeypatch.setenv(f"MYSQL_{name}", value)
        follow(PAGES / "mysql-to-starrocks.md", connection)
        connection.execute("DROP DATASOURCE shop")


@pytest.mark.mariadb
def test_mariadb_branch_merge(connection: Session, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from servers import mariadb_server

    with mariadb_server() as server:
        for name, value in (("PORT", str(server.port)), ("USER", server.user), ("PASSWORD", server.password)):
            monkeypatch.setenv(f"MARIADB_{name}", value)
        follow(PAGES / "mariadb-branch-merge.md", connection)
        connection.execute("DROP DATASOURCE crm")
