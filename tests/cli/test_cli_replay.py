"""`bough shadow replay`: how it reads a file, what it makes of the server's answers, and whole runs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from proxy.cli.demo import temporary_server
from proxy.cli.main import main
from proxy.cli.replay import Query, judge, read_queries, skipped, with_values

pytestmark = pytest.mark.sampled

LOG = """\
2024-01-01 10:00:00.000 UTC [12] LOG:  statement: SELECT carrier,
\tcount(*) FROM flights;
2024-01-01 10:00:00.000 UTC [12] LOG:  duration: 0.532 ms
2024-01-01 10:00:01.000 UTC [12] LOG:  duration: 0.532 ms  execute <unnamed>: SELECT $1, '$2', $2 FROM t
2024-01-01 10:00:01.000 UTC [12] DETAIL:  Parameters: $1 = 'it''s, $2 = ', $2 = NULL
2024-01-01 10:00:02.000 UTC [12] LOG:  execute S_1: SELECT 1
2024-01-01 10:00:02.000 UTC [12] ERROR:  relation "x" does not exist
"""


def test_statements_of_a_file() -> None:
    text = "-- first\nSELECT 1;\n\nSELECT ';', $a$;$a$;INSERT INTO t VALUES (1)\n;\n"
    assert list(read_queries(text)) == [
        Query(2, "SELECT 1"),
        Query(4, "SELECT ';', $a$;$a$"),
        Query(4, "INSERT INTO t VALUES (1)"),
    ]
    assert list(read_queries("-- nothing\n")) == []


def test_statements_of_a_log() -> None:
    assert list(read_queries(LOG)) == [
        Query(1, "SELECT carrier,\ncount(*) FROM flights"),
        Query(4, "SELECT 'it''s, $2 = ', '$2', NULL FROM t"),
        Query(6, "SELECT 1"),
    ]


@pytest.mark.parametrize(
    ("sql", "values", "made"),
    [
        ("SELECT $1 + $10", "$1 = '2', $10 = '3'", "SELECT '2' + '3'"),
        ('SELECT "$1", $$ $1 $$, $x$ $1 $x$', "$1 = '2'", 'SELECT "$1", $$ $1 $$, $x$ $1 $x$'),
        ("SELECT $3", "$1 = '2'", "SELECT $3"),
    ],
)
def test_parameters_are_put_back(sql: str, values: str, made: str) -> None:
    assert with_values(sql, values) == made


def test_what_is_skipped() -> None:
    assert skipped("SELECT 1") is None
    assert skipped("WITH a AS (SELECT 1) TABLE a") is None
    assert skipped("not sql") is None  # the server says what is wrong
    assert skipped("DELETE FROM t") == "not a SELECT: DELETE"
    assert skipped("SET search_path = x") == "not a SELECT: SET"
    assert skipped("BRANCH LIST") == "a command of Bough"


def test_verdicts() -> None:
    def row(branch: str, same: bool, elapsed: float | None = 2.0, error: str | None = None) -> dict[str, Any]:
        return {"branch": branch, "rows": 3, "elapsed_ms": elapsed, "same_as_first": same, "error": error}

    query = Query(1, "SELECT 1")
    assert judge(query, [row("a", True), row("b", True, 4.0)]).verdict == "same"
    other = judge(query, [row("a", True), row("b", False, 4.0), row("c", False)])
    assert (other.verdict, other.note) == ("different", "b, c not as a")
    assert [item["speed"] for item in other.branches] == [1.0, 0.5, 1.0]
    failed = judge(query, [row("a", True), row("b", False, None, "42703: no")])
    assert (failed.verdict, failed.note) == ("error", "b: 42703: no")


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """A server (a process: its log is not ours) with branches ``same`` and ``other``."""
    with temporary_server() as number:
        dsn = f"host=127.0.0.1 port={number} user=alice dbname=main"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE t AS SELECT i, i * 0.1::double precision AS x FROM generate_series(1, 50) AS g(i)"
            )
            for name in ("same", "other"):
                connection.execute(f"BRANCH CREATE {name}".encode())
            connection.execute("BRANCH SWITCH other")
            connection.execute("UPDATE t SET x = x + 1e-13")
            connection.execute("DELETE FROM t WHERE i = 7")
        yield str(number)


def replay(*arguments: str) -> int:
    return main(["shadow", "replay", *arguments])


def test_a_whole_run(port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "q.sql"
    file.write_text(
        "SELECT count(*) FROM t;\nSELECT x FROM t WHERE i = 3;\nDELETE FROM t;\nSELECT nothing FROM t;\n"
        "SELECT * FROM pg_class;\n"
    )
    arguments = ("--queries", str(file), "--port", port, "--branches")
    assert replay(*arguments, "main, other") == 1
    printed = capsys.readouterr().out
    assert "line 1, different: other not as main" in printed
    assert "line 3, skipped: not a SELECT: DELETE" in printed
    assert 'line 4, error: main: 42703: column "nothing" does not exist; other: 42703' in printed
    assert "1 same, 1 different, 1 error, 2 skipped; main " in printed
    assert replay(*arguments, "main,same,other", "--format", "json", "--runs", "3", "--tolerance", "0") == 1
    report = json.loads(capsys.readouterr().out)
    assert [item["verdict"] for item in report["queries"]] == [
        "different",
        "different",
        "skipped",
        "error",
        "skipped",
    ]
    assert [row["rows"] for row in report["queries"][0]["branches"]] == [1, 1, 1]
    assert {name: report["summary"][name] for name in ("queries", "same", "different", "error", "skipped")} == {
        "queries": 5, "same": 0, "different": 2, "error": 1, "skipped": 2,
    }  # fmt: skip
    assert report["summary"]["ms"].keys() == {"main", "same", "other"}


def test_exit_code_0_means_that_all_agree(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT sum(i) FROM t; DROP TABLE t"))
    assert replay("--queries", "-", "--branches", "main,same", "--port", port) == 0
    assert "1 same, 0 different, 0 error, 1 skipped" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT i FROM t WHERE i < 3 ORDER BY i"))
    assert replay("--queries", "-", "--branches", "main,other", "--port", port, "--ordered") == 0


@pytest.mark.slow
def test_a_file_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import branching
    from branching import branches

    database = branching.open(tmp_path / "d.duckdb")
    branches.create(database, "b", "main", role="me")
    database.close()
    (tmp_path / "q.sql").write_text("SELECT 1")
    file = str(tmp_path / "d.duckdb")
    assert replay("--queries", str(tmp_path / "q.sql"), "--branches", "main,b", "--file", file) == 0
    assert "1 same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("branches", "queries", "message"),
    [
        ("main,nope", "SELECT 1", 'bough: branch "nope" does not exist (BRANCH LIST shows them'),
        ("main", "SELECT 1", "bough: a shadow query compares at least two branches"),
        ("main,,same", "SELECT 1", "bough: --branches main,,same: "),
        ("main,same", "-- nothing", "bough: there are no statements in "),
    ],
)
def test_mistakes_are_one_line(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], branches: str, queries: str, message: str
) -> None:
    file = tmp_path / "q.sql"
    file.write_text(queries)
    assert replay("--queries", str(file), "--branches", branches, "--port", port) == 1
    told = capsys.readouterr()
    assert told.err.startswith(message) and told.err.count("\n") == 1 and not told.out


def test_no_server_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.sql").write_text("SELECT 1")
    arguments = ("--queries", str(tmp_path / "q.sql"), "--branches", "main,b")
    assert replay(*arguments, "--port", "1") == 1
    assert capsys.readouterr().err.startswith("bough: cannot connect to 127.0.0.1:1: ")
    assert replay(*arguments, "--file", str(tmp_path / "none.duckdb")) == 1
    assert "there is no file" in capsys.readouterr().err
    assert replay("--queries", str(tmp_path / "none.sql"), "--branches", "main,b") == 1
    assert "No such file" in capsys.readouterr().err
