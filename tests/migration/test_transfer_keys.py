"""A KEY that is NULL or repeats in the source, and a cursor that a branch cannot keep, refuse the plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from targets import SCHEMAS, marked, opened_target, without

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled


@pytest.fixture(params=marked(*SCHEMAS))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    with without("keyed", opened_target(engine, tmp_path, request)) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "there.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b VARCHAR, c INTEGER)")
    connector = connect(datasource("target", "duckdb", {"path": str(file), "role": "read_write"}))
    yield connector
    connector.close()


def filled(source: Connector, engine: str, rows: str, *, key: str = "") -> None:
    text = "Nullable(String)" if engine == "clickhouse" else "varchar(20)"
    number = "Nullable(Int32)" if engine == "clickhouse" else "integer"
    more = " ENGINE = MergeTree ORDER BY tuple()" if engine == "clickhouse" else ""
    source.execute(f"CREATE TABLE keyed (a {number}, b {text}, c {number}{key}){more}")
    source.execute(f"INSERT INTO keyed VALUES {rows}")


def asked(engine: str, mode: str, key: tuple[str, ...], **options: object) -> TransferRequest:
    return TransferRequest(
        Source(path=(SCHEMAS[engine], "keyed")),
        ("main", "t"),
        mode,  # type: ignore[arg-type]
        key,
        "c" if mode == "incremental" else None,
        TransferOptions(**options),  # type: ignore[arg-type]
    )


def refused(request: TransferRequest, source: Connector, target: Connector) -> MigrationError:
    with pytest.raises(MigrationError) as caught:
        plan(request, source, target).close()
    assert [entry.name for entry in target.tables()] == ["t"]
    return caught.value


@pytest.mark.parametrize("mode", ["upsert", "incremental", "replace"])
def test_rows_without_a_key(source: Connector, engine: str, target: Connector, mode: str) -> None:
    filled(source, engine, "(1, 'x', 1), (NULL, 'x', 2), (2, NULL, 3), (3, NULL, 4)")
    error = refused(asked(engine, mode, ("a", "b")), source, target)
    assert (error.sqlstate, error.column) == ("23502", "a")
    assert "1 of 4 rows" in (error.detail or "")
    error = refused(asked(engine, mode, ("b",)), source, target)
    assert (error.sqlstate, error.column) == ("23502", "b")
    assert error.message.startswith("2 rows of the source have no key (b)")
    assert "WHERE b IS NOT NULL" in (error.hint or "")


def test_a_key_that_is_cast_is_looked_at_too(source: Connector, engine: str, target: Connector) -> None:
    filled(source, engine, "(1, '1', 1), (2, NULL, 2)")
    error = refused(asked(engine, "upsert", ("b",), casts={"b": "integer"}, recreate=True), source, target)
    assert error.sqlstate == "23502"


def test_a_key_that_repeats(source: Connector, engine: str, target: Connector) -> None:
    filled(source, engine, "(1, 'x', 1), (1, 'X', 2), (2, 'x', 3), (2, 'x', 4)")
    request = asked(engine, "upsert", ("a", "b"))
    if engine == "clickhouse":  # its GROUP BY was not compared with that of others: staging is asked
        with plan(request, source, target) as decided, pytest.raises(MigrationError) as caught:
            run(decided)
        assert [entry.name for entry in target.tables()] == ["t"]
        assert (caught.value.sqlstate, caught.value.detail) == ("21000", "Keys that repeat: 1.")
        return
    error = refused(request, source, target)
    assert error.sqlstate == "21000"
    assert error.detail == "Repeated: 2, x."


def test_keys_apart_by_case_or_declared_unique_move(
    source: Connector, engine: str, target: Connector
) -> None:
    filled(source, engine, "(1, 'x', 1), (2, 'X', 2)", key="" if engine == "clickhouse" else ", UNIQUE (a)")
    for key in (("b",), ("a", "c")):
        with plan(asked(engine, "upsert", key), source, target) as decided:
            assert run(decided).verdict == "pass"


@pytest.mark.postgres
def test_a_cursor_that_a_branch_cannot_keep(
    tmp_path: Path, target: Connector, request: pytest.FixtureRequest
) -> None:
    source = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: source.execute("DROP TABLE keyed"))
    source.execute("CREATE TABLE keyed (a integer PRIMARY KEY, c numeric)")
    source.execute("INSERT INTO keyed VALUES (1, 9), (2, 10)")
    given = (Source(path=("public", "keyed")), ("main", "new"), "incremental")
    error = refused(TransferRequest(*given, (), "c", branch="main"), source, target)  # type: ignore[arg-type]
    assert (error.sqlstate, error.column) == ("0A000", "c")
    for key, branch in ((("a",), "main"), ((), None)):
        plan(TransferRequest(*given, key, "c", branch=branch), source, target).close()  # type: ignore[arg-type]
