"""Reconciliation finds what was planted and nothing else, on one kind of engine and across two."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.sqlite import SqliteReader
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, estimate, reconcile
from migration.reconcile.report import Report, checks_of
from migration.reconcile.rows import Pair, Watch, compare
from migration.types import decimal, of
from migration.values.json_meaning import canonical_json

pytestmark = pytest.mark.sampled

ROWS = 50_000
TABLE = (
    "CREATE TABLE t AS SELECT i::BIGINT AS id, (i * 7919) % 1000 AS n, i / 3.0 AS d, 'name ' || i AS s, "
    "CASE WHEN i % 10 = 0 THEN NULL ELSE i::DECIMAL(18,4) / 7 END AS m, "
    "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, DATE '2024-01-01' + (i % 365)::INTEGER AS day, "
    "i % 2 = 0 AS b FROM range({rows}) AS r(i)"
)


def duck(path: Path, name: str) -> Connector:
    return connect(datasource(name, "duckdb", {"path": str(path), "role": "read_write"}))


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Side, Side]:
    found = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute(TABLE.format(rows=ROWS))
        found.append(Side(duck(path, name), Source(path=("main", "t"))))
    return found[0], found[1]


def change(side: Side, *statements: str) -> None:
    for statement in statements:
        side.connector.execute(statement)


def failed(report: Report) -> set[str]:
    return {check.check for check in report.checks if check.verdict == "fail"}


def test_equal_tables_pass_every_check(sides: tuple[Side, Side]) -> None:
    report = reconcile(*sides, key=("id",))
    assert report.verdict == "pass"
    assert report.differences == ()
    assert {check.check for check in report.checks} >= {"schema", "count", "nulls", "sums", "distinct"}
    assert (report.rows()[-1][0], report.rows()[-1][4]) == ("verdict", "pass")


def test_five_planted_differences_are_named_with_their_columns(sides: tuple[Side, Side]) -> None:
    change(
        sides[1],
        "DELETE FROM t WHERE id = 17",
        "INSERT INTO t SELECT 99999999 AS id, n, d, s, m, seen, day, b FROM t WHERE id = 3",
        "UPDATE t SET m = m + 0.0001 WHERE id = 41",
        "UPDATE t SET s = s || ' ', seen = seen + INTERVAL 1 MICROSECOND WHERE id = 4242",
        "UPDATE t SET n = NULL WHERE id = 49999",
    )
    report = reconcile(*sides, key=("id",))
    assert report.verdict == "fail"
    assert {(d.kind, d.key, d.columns) for d in report.differences} == {
        ("missing", "17", ()),
        ("extra", "99999999", ()),
        ("changed", "41", ("m",)),
        ("changed", "4242", ("s", "seen")),
        ("changed", "49999", ("n",)),
    }


@pytest.mark.parametrize(
    ("statement", "check", "level"),
    [
        ("DELETE FROM t WHERE id = 5", "count", "l1"),
        ("UPDATE t SET n = NULL WHERE id = 5", "nulls", "l2"),
        ("UPDATE t SET n = n + 1 WHERE id = 5", "sums", "l2"),
        ("UPDATE t SET day = DATE '1999-01-01' WHERE id = 5", "min", "l2"),
        ("UPDATE t SET s = 'longer than before' WHERE id = 5", "octets", "l2"),
        ("UPDATE t SET s = 'name 6' WHERE id = 5", "fingerprint", "l3"),
        ("ALTER TABLE t DROP COLUMN day", "schema", "l0"),
    ],
)
def test_each_level_sees_its_kind_of_difference(
    sides: tuple[Side, Side], statement: str, check: str, level: str
) -> None:
    change(sides[1], statement)
    assert check in failed(reconcile(*sides, checks=(level,)))


def test_a_level_below_does_not_see_it(sides: tuple[Side, Side]) -> None:
    change(sides[1], "UPDATE t SET s = 'name 6' WHERE id = 5")
    assert reconcile(*sides, checks=("light",)).verdict == "pass"


def test_duplicate_keys_are_a_failure_of_their_own(sides: tuple[Side, Side]) -> None:
    for side in sides:
        change(side, "UPDATE t SET id = 6 WHERE id = 5")
    report = reconcile(*sides, key=("id",), checks=("duplicate_keys",))
    assert [(check.source, check.target) for check in report.checks] == [("1", "1")]
    assert report.verdict == "fail"


def test_floats_are_compared_within_the_tolerance(sides: tuple[Side, Side]) -> None:
    change(sides[1], "UPDATE t SET d = d * (1 + 1e-12)")
    assert "rows_changed" in failed(reconcile(*sides, key=("id",), checks=("rows",)))
    assert reconcile(*sides, key=("id",), checks=("rows",), tolerance=1e-9).verdict == "pass"
    assert {"min", "max"} & failed(reconcile(*sides, key=("id",)))
    # Extremes are near enough where rows are, and nobody counts how many different ones are near each other.
    change(
        sides[1],
        "UPDATE t SET d = 0.1::DOUBLE + 0.2::DOUBLE WHERE id = 1",
        "UPDATE t SET d = 0.3 WHERE id = 2",
    )
    change(sides[0], "UPDATE t SET d = 0.3 WHERE id IN (1, 2)")
    for key in (("id",), ()):
        report = reconcile(*sides, key=key, tolerance=1e-9)
        assert (failed(report), report.verdict) == (set(), "pass")
    change(sides[1], "UPDATE t SET d = 1e30 WHERE id = 1")
    assert {"max", "rows_changed"} <= failed(reconcile(*sides, key=("id",), tolerance=1e-9))


def test_a_decimal_of_any_digits_is_compared_with_a_float_as_a_number() -> None:
    schema = pa.schema([("k", pa.int32()), ("v", pa.string())])
    texts = pa.record_batch([[1, 2, 3, 4], ["3", "2.50", "NaN", "7"]], schema=schema)
    schema = pa.schema([("k", pa.int32()), ("v", pa.float64())])
    floats = pa.record_batch([[1, 2, 3, 4], [3.0, 2.5, float("nan"), 8.0]], schema=schema)
    pairs = [Pair("k", of("int32"), of("int32")), Pair("v", decimal(), of("float64"))]
    for sides in ((texts, floats, pairs), (floats, texts, [Pair(p.name, p.right, p.left) for p in pairs])):
        left, right, columns = sides
        found = compare([left], [right], columns, ("k",))
        assert [(each.kind, each.key) for each in found.differences] == [("changed", "4")]


def test_a_whole_number_that_a_float_has_rounded_differs() -> None:
    great = 2**53 + 1
    numbers = [great, great + 1, 0, -7, None, 5, 1]
    floats = [float(great), float(great + 1), -0.0, -7.0, None, 5.5, float("nan")]
    schemas = [pa.schema([("k", pa.int32()), ("v", type_)]) for type_ in (pa.int64(), pa.float64())]
    left, right = (
        pa.record_batch([list(range(7)), values], schema=schema)
        for values, schema in zip((numbers, floats), schemas, strict=True)
    )
    pairs = [Pair("k", of("int32"), of("int32")), Pair("v", of("int64"), of("float64"))]
    found = compare([left], [right], pairs, ("k",))
    assert [each.key for each in found.differences] == ["0", "5", "6"]
    assert [check.verdict for check in compare([left], [right], pairs).checks] == ["fail"]
    found = compare([left], [right], pairs, ("k",), tolerance=1e-9)
    assert [each.key for each in found.differences] == ["5", "6"]


def test_no_tolerance_makes_a_number_of_what_is_none() -> None:
    nan, inf = float("nan"), float("inf")
    schema = pa.schema([("k", pa.int32()), ("v", pa.float64())])
    left = pa.record_batch([list(range(7)), [1.0, nan, inf, inf, nan, None, inf]], schema=schema)
    right = pa.record_batch([list(range(7)), [nan, 1.0, 5.0, -inf, nan, nan, inf]], schema=schema)
    columns = [("k", of("int32")), ("v", of("float64"))]
    for tolerance in (0.0, 1e-9, 0.5):
        found = compare([left], [right], columns, ("k",), tolerance)
        assert [each.key for each in found.differences] == ["0", "1", "2", "3", "5"]


def test_a_value_that_is_null_is_told_as_null(sides: tuple[Side, Side]) -> None:
    change(sides[0], "UPDATE t SET s = 'there' WHERE id = 5")
    change(sides[1], "UPDATE t SET s = NULL WHERE id = 5")
    report = reconcile(*sides, key=("id",), checks=("rows",))
    assert [check.detail for check in report.checks if check.check == "rows_changed"] == [
        "(5) s: there <> NULL"
    ]


def test_queries_are_compared_as_tables_are(sides: tuple[Side, Side]) -> None:
    left = Side(sides[0].connector, Source(query="SELECT n, count(*) AS c FROM t GROUP BY n;"))
    right = Side(sides[1].connector, Source(query="SELECT n, count(*) AS c FROM t GROUP BY n"))
    assert reconcile(left, right, key=("n",)).verdict == "pass"


def test_the_engines_own_fingerprints_agree(sides: tuple[Side, Side]) -> None:
    query = Source(query="SELECT id, s, m::DECIMAL(18,4) AS m, seen, day, b FROM t")
    left, right = Side(sides[0].connector, query), Side(sides[1].connector, query)
    report = reconcile(left, right, checks=("fingerprint",), pushed=True)
    assert report.verdict == "pass"
    assert report.checks[0].detail == "computed by the engines"
    change(sides[1], "UPDATE t SET s = 'name 6' WHERE id = 5")
    assert reconcile(left, right, checks=("fingerprint",), pushed=True).verdict == "fail"


def test_rows_of_a_key_that_repeats_are_compared_one_with_one(sides: tuple[Side, Side]) -> None:
    report = reconcile(
        *sides, key=("n",), checks=("duplicate_keys", "rows")
    )  # a thousand keys, fifty rows each
    assert failed(report) == {"duplicate_keys"}
    assert report.differences == ()
    change(sides[1], "UPDATE t SET s = 'zzz' WHERE id = 77", "DELETE FROM t WHERE id = 3")
    report = reconcile(*sides, key=("n",), checks=("rows",))
    counts = {check.check: check.target for check in report.checks}
    assert (counts["rows_missing"], counts["rows_extra"]) == ("1", "0")
    assert int(counts["rows_changed"] or 0) <= 100


def test_cost_is_told_before_it_is_paid(sides: tuple[Side, Side]) -> None:
    steps = estimate(*sides, key=("id",))
    assert [rows for step, _, rows in steps if step == "read"] == [ROWS, ROWS]
    assert estimate(*sides, checks=("count",))[1][2] == 0


def test_unknown_checks_and_keys_are_refused(sides: tuple[Side, Side]) -> None:
    with pytest.raises(MigrationError) as caught:
        checks_of(["sum"])
    assert caught.value.sqlstate == "22023"
    with pytest.raises(MigrationError) as caught:
        reconcile(*sides, key=("nobody",))
    assert caught.value.sqlstate == "42703"


def test_a_table_in_sqlite_is_compared_by_the_meaning_of_its_texts(tmp_path: Path) -> None:
    left, right = tmp_path / "a.duckdb", tmp_path / "b.sqlite"
    with duckdb.connect(str(left)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 1 AS id, 1.50::DECIMAL(9,2) AS m, true AS b, "
            "TIMESTAMP '2024-01-01 12:00:00' AS seen"
        )
    with sqlite3.connect(right) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, m TEXT, seen TEXT, b INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, '1.50', '2024-01-01 12:00:00', 1)")
    other = connect(datasource("lite", "sqlite", {"path": str(right), "role": "read_write"}))
    sides = Side(duck(left, "a"), Source(path=("main", "t"))), Side(other, Source(path=("t",)))
    assert reconcile(*sides, key=("id",)).verdict == "pass"
    other.execute("UPDATE t SET m = '1.51'")
    report = reconcile(*sides, key=("id",))
    assert report.differences[0].columns == ("m",)


def lite(path: Path) -> Connector:
    return connect(datasource("lite", "sqlite", {"path": str(path), "role": "read_write"}))


@pytest.fixture
def with_sqlite(tmp_path: Path) -> tuple[Side, Side]:
    """A table of DuckDB and the same in SQLite, which keeps decimals and moments as texts."""
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute(TABLE.format(rows=1000))
        rows = connection.execute("SELECT id, n, d, s, m::VARCHAR, seen::VARCHAR, day::VARCHAR, b FROM t")
        found = rows.fetchall()
    with sqlite3.connect(tmp_path / "b.sqlite") as connection_:
        connection_.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, d REAL, s TEXT, m TEXT, seen TEXT, day TEXT, b INTEGER)"
        )
        connection_.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", found)
    left = Side(duck(tmp_path / "a.duckdb", "a"), Source(path=("main", "t")))
    return left, Side(lite(tmp_path / "b.sqlite"), Source(path=("main", "t")))


def test_a_side_that_does_not_measure_itself_is_read_once(
    with_sqlite: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are measured, and its different values and keys counted, as they come to be compared."""
    asked: list[str] = []
    stream, rows = SqliteReader.stream, SqliteReader.rows

    def streamed(self: SqliteReader, text: str, *rest: Any) -> Iterator[pa.RecordBatch]:
        asked.append(text)
        return stream(self, text, *rest)

    def answered(self: SqliteReader, text: str) -> list[tuple[Any, ...]]:
        asked.append(text)
        return rows(self, text)

    monkeypatch.setattr(SqliteReader, "stream", streamed)
    monkeypatch.setattr(SqliteReader, "rows", answered)
    change(
        with_sqlite[1],
        "DELETE FROM t WHERE id = 17",
        "INSERT INTO t SELECT 99999999 AS id, n, d, s, m, seen, day, b FROM t WHERE id = 3",
        "UPDATE t SET m = '1.2345' WHERE id = 41",
        "UPDATE t SET s = 'mane 42' WHERE id = 42",
        "UPDATE t SET n = NULL WHERE id = 999",
    )
    report = reconcile(*with_sqlite, key=("id",))
    assert {(d.kind, d.key, d.columns) for d in report.differences} == {
        ("missing", "17", ()),
        ("extra", "99999999", ()),
        ("changed", "41", ("m",)),
        ("changed", "42", ("s",)),
        ("changed", "999", ("n",)),
    }
    assert len(asked) == 2, asked  # the count, and the rows
    assert {"nulls", "max", "sums", "octets", "distinct", "duplicate_keys", "rows_changed"} <= {
        check.check for check in report.checks
    }
    estimated = {
        (step, detail.split(":")[0]): rows for step, detail, rows in estimate(*with_sqlite, key=("id",))
    }
    assert (estimated["scan", "lite.main.t"], estimated["read", "lite.main.t"]) == (0, 1000)
    light = {
        (step, detail.split(":")[0]): rows for step, detail, rows in estimate(*with_sqlite, checks=("light",))
    }
    assert (light["read", "a.main.t"], light["read", "lite.main.t"]) == (0, 1000)


def test_a_value_that_cannot_be_read_is_named_as_it_is(with_sqlite: tuple[Side, Side]) -> None:
    change(with_sqlite[1], "UPDATE t SET d = 'no number' WHERE id = 500")
    with pytest.raises(MigrationError, match='column "d" has a value that float64 cannot hold') as caught:
        reconcile(*with_sqlite, key=("id",))
    assert caught.value.sqlstate == "HV004"


def test_a_cancel_ends_a_comparison_at_any_step(sides: tuple[Side, Side]) -> None:
    asked: list[int] = []

    def cancelled(at: int) -> bool:
        asked.append(at)
        return len(asked) > at

    for step in (0, 2, 4):
        asked.clear()
        with pytest.raises(MigrationError) as caught:
            reconcile(*sides, key=("id",), watch=Watch(lambda at=step: cancelled(at)))  # type: ignore[misc]
        assert caught.value.sqlstate == "57014"
    watch = Watch()
    watch.cancelled = lambda: bool(watch.interrupt())  # while the engine here takes the rows in
    with pytest.raises(MigrationError, match="cancelled"):
        reconcile(*sides, key=("id",), watch=watch)
    assert watch.engine is None


def test_an_interrupted_stream_of_duckdb_says_so(sides: tuple[Side, Side]) -> None:
    """Its errors come as texts of the stream; that was an internal error of the server."""
    with sides[0].connector.reader() as reader:
        rows = reader.read(Source(query="SELECT i AS a, md5(i::VARCHAR) AS b FROM range(20000000) AS r(i)"))
        next(rows)
        sides[0].connector.interrupt()
        with pytest.raises(MigrationError) as caught:
            for _ in rows:
                pass
    assert caught.value.sqlstate == "57014"


def test_fingerprints_measures_and_distinct_values_without_a_key(with_sqlite: tuple[Side, Side]) -> None:
    assert reconcile(*with_sqlite, checks=("l3", "distinct")).verdict == "pass"
    change(with_sqlite[1], "UPDATE t SET s = 'name 7' WHERE id = 8")
    assert failed(reconcile(*with_sqlite, checks=("l3", "distinct"))) == {"fingerprint", "distinct"}
    assert failed(reconcile(*with_sqlite, key=("s",), checks=("duplicate_keys",))) == {"duplicate_keys"}


@pytest.mark.mariadb
def test_a_collation_makes_no_values_the_same(mariadb: Server, tmp_path: Path) -> None:
    """MariaDB counts 'a' and 'A' as one value and as one key."""
    there = connect(
        datasource(
            "maria",
            "mysql",
            {
                "host": mariadb.host,
                "port": str(mariadb.port),
                "user": mariadb.user,
                "password": mariadb.password,
                "database": mariadb.database,
                "role": "read_write",
            },
        )
    )
    there.execute("CREATE TABLE collated (k VARCHAR(9), s VARCHAR(9))")
    there.execute("INSERT INTO collated VALUES ('a', 'x'), ('A', 'X'), ('ä', 'x')")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t (k VARCHAR, s VARCHAR)")
        connection.execute("INSERT INTO t VALUES ('a', 'x'), ('A', 'X'), ('ä', 'x')")
    left = Side(duck(tmp_path / "a.duckdb", "a"), Source(path=("main", "t")))
    report = reconcile(left, Side(there, Source(path=(mariadb.database, "collated"))), key=("k",))
    assert report.verdict == "pass", report.reasons


@pytest.mark.postgres
def test_across_engines_the_fingerprint_is_the_same(postgres: Server, tmp_path: Path) -> None:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as session:
        session.execute("DROP TABLE IF EXISTS reconciled")
        session.execute(
            "CREATE TABLE reconciled AS SELECT i::bigint AS id, 'näme ' || i AS s, (i / 8.0)::numeric(18,4) AS m, "
            "timestamp '2024-01-01' + i * interval '1 second' AS seen, "
            "CASE WHEN i % 3 = 0 THEN NULL ELSE i % 2 = 0 END AS b FROM generate_series(0, 999) AS r(i)"
        )
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i::BIGINT AS id, 'näme ' || i AS s, (i / 8.0)::DECIMAL(18,4) AS m, "
            "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, "
            "CASE WHEN i % 3 = 0 THEN NULL ELSE i % 2 = 0 END AS b FROM range(1000) AS r(i)"
        )
    pg = connect(
        datasource(
            "pg",
            "postgres",
            {
                "host": postgres.host,
                "port": str(postgres.port),
                "user": postgres.user,
                "database": postgres.database,
            },
        )
    )
    sides = Side(duck(path, "a"), Source(path=("main", "t"))), Side(pg, Source(path=("public", "reconciled")))
    report = reconcile(*sides, key=("id",))
    assert report.verdict == "pass", report.reasons
    pushed = reconcile(*sides, checks=("fingerprint",), pushed=True)
    assert pushed.verdict == "pass"
    assert pushed.checks[0].detail == "computed by the engines"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(json_values)
def test_json_is_equal_whatever_its_spelling(value: object) -> None:
    import json

    assert canonical_json(json.dumps(value)) == canonical_json(
        json.dumps(value, indent=3, ensure_ascii=False)
    )


def test_measures_are_shown_as_people_write_them(sides: tuple[Side, Side]) -> None:
    change(sides[1], "DELETE FROM t WHERE id = 0")
    rows = {(row[0], row[1]): row for row in reconcile(*sides, key=("id",), checks=("light",)).rows()}
    assert rows["min", "seen"][2:5] == ("2024-01-01 00:00:00", "2024-01-01 00:00:01", "fail")
    assert rows["min", "day"][2:4] == ("2024-01-01", "2024-01-01")
    assert rows["nulls", "m"][2:] == ("5000", "4999", "fail", "10.00%, 10.00%")
    assert rows["nulls", "n"][2:5] == ("0", "0", "pass")  # a row less is no NULL more


def test_lists_are_the_same_as_the_json_they_became(tmp_path: Path) -> None:
    """Engines without lists keep them as JSON text; that is no difference, and a changed element is one."""
    found = []
    for name, type_, values in (
        ("a", "BIGINT[]", ("[1, NULL, 9007199254740993]", "[]")),
        ("b", "VARCHAR", ("'[1,null, 9007199254740993]'", "'[]'")),
        ("c", "VARCHAR", ("'[1,null, 9007199254740992]'", "'[]'")),
    ):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, l {type_})")
            for number, value in enumerate(values):
                connection.execute(f"INSERT INTO t VALUES ({number}, {value})")
        found.append(Side(duck(tmp_path / f"{name}.duckdb", name), Source(path=("main", "t"))))
    assert reconcile(found[0], found[1], ("id",), ("count", "rows")).verdict == "pass"
    report = reconcile(found[0], found[2], ("id",), ("count", "rows"))
    assert [(item.kind, item.key, item.columns) for item in report.differences] == [("changed", "0", ("l",))]
