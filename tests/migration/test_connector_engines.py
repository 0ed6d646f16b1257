"""The same promises, asked of every engine that is here: exact round trips, snapshots, refusals, publishing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Predicate, ReadColumn, Source
from migration.connectors.telling import told
from migration.datasources.datasource import datasource
from migration.errors import MigrationError

pytestmark = pytest.mark.sampled

Opened = Callable[[str], Connector]

TABLES = {
    "duckdb": (
        "CREATE TABLE t (id BIGINT NOT NULL, name VARCHAR, amount DECIMAL(18,4), stamp TIMESTAMP, big HUGEINT, "
        "raw BLOB, day DATE, ratio DOUBLE, tags INTEGER[])",
        "INSERT INTO t VALUES (9007199254740993, 'a\"\\\n', 1.2500, 'infinity', "
        "170141183460469231731687303715884105727, '\\xAA\\x00'::BLOB, '-infinity', 'nan', [1, NULL]), "
        "(2, '', NULL, NULL, NULL, '', NULL, 0.1, []), (3, NULL, -0.0001, '0044-03-15 (BC)', -1, NULL, NULL, "
        "'-inf', NULL)",
    ),
    "sqlite": (
        "CREATE TABLE t (id BIGINT NOT NULL, name TEXT, amount DECIMAL(18,4), stamp DATETIME, raw BLOB, ratio REAL)",
        "INSERT INTO t VALUES (9007199254740993, 'a\"\\' || char(10), 1.25, '2020-01-01 00:00:00.123456', x'AA00', "
        "0.1), (2, '', NULL, NULL, x'', NULL), (3, NULL, -0.0001, '0001-01-01 00:00:00', NULL, 1e300)",
    ),
    "postgres": (
        "CREATE TABLE t (id bigint NOT NULL, name text, amount numeric(18,4), stamp timestamp, any_number numeric, "
        "raw bytea, day date, ratio double precision, tags int[], doc jsonb, who uuid, moment timestamptz)",
        "INSERT INTO t VALUES (9007199254740993, E'a\"\\\\\\n', 1.25, 'infinity', 'NaN', '\\xaa00', '-infinity', "
        "'NaN', '{1,NULL}', '{\"a\": [1, null, true]}', '11111111-1111-1111-1111-111111111111', '-infinity'), "
        "(2, '', NULL, NULL, 1e-40, '', NULL, 0.1, '{}', NULL, NULL, '2020-01-01 00:00:00+02'), "
        "(3, NULL, -0.0001, '0044-03-15 BC', NULL, NULL, '5874897-12-31', '-Infinity', NULL, '{}', NULL, NULL)",
    ),
    "mariadb": (
        "CREATE TABLE t (id bigint NOT NULL, name text, amount decimal(18,4), stamp datetime(6), "
        "wide decimal(65,30), raw blob, day date, ratio double, single float, bits bit(5), u bigint unsigned)",
        "INSERT INTO t VALUES (9007199254740993, 'a\"\\\\\\n', 1.25, '2020-01-01 00:00:00.123456', "
        "12345678901234567890123456789012345.123456789012345678901234567890, x'AA00', '9999-12-31', 0.1, 0.1, "
        "b'10110', 18446744073709551615), (2, '', NULL, NULL, NULL, '', NULL, 1e300/3, 16777216, NULL, 0), "
        "(3, NULL, -0.0001, '1000-01-01', -1, NULL, NULL, NULL, NULL, b'0', NULL)",
    ),
    "clickhouse": (
        "CREATE TABLE t (id Int64, name Nullable(String), amount Nullable(Decimal(18, 4)), "
        "stamp Nullable(DateTime64(6)), big Nullable(Int128), day Nullable(Date32), ratio Nullable(Float64), "
        "single Nullable(Float32), bits FixedString(2), who Nullable(UUID), moment Nullable(DateTime64(9, 'UTC')), "
        "tags Array(Nullable(Int32)), pair Tuple(a Nullable(Int32), b String), counts Map(String, Int64), "
        "kind LowCardinality(Nullable(String)), colour Enum8('red' = 1, 'a''b' = 2), u UInt64, seen DateTime, "
        "plain Date, wide Decimal(76, 20), yes Bool, deep Array(Array(Nullable(Decimal(9, 2))))) "
        "ENGINE = MergeTree ORDER BY id",
        "INSERT INTO t VALUES (9007199254740993, 'a\"\\\\\\n', 1.25, '2020-01-01 00:00:00.123456', "
        "170141183460469231731687303715884105727, '2299-12-31', nan, 0.1, 'ab', "
        "'00112233-4455-6677-8899-aabbccddeeff', '2020-01-01 00:00:00.123456789', [1, NULL], (NULL, 'x'), "
        "{'k': 9007199254740993}, 'x', 'a''b', 18446744073709551615, '2106-02-07 06:28:15', '2149-06-06', "
        "12345678901234567890123456789012345678901234567890.12345678901234567891, true, [[1.25], []]), "
        "(2, '', NULL, NULL, NULL, NULL, 0.1, NULL, unhex('ff00'), NULL, NULL, [], (1, ''), {}, NULL, 'red', 0, "
        "'1970-01-01 00:00:00', '1970-01-01', -1, false, []), "
        "(3, NULL, -0.0001, '1900-01-01 00:00:00', -1, '1900-01-01', -inf, 16777216, 'zz', NULL, NULL, [NULL], "
        "(NULL, ''), {'': 0, 'b': -1}, '', 'red', 1, '2000-01-01 00:00:00', '2000-01-01', 0, false, [[NULL]])",
    ),
}
# What every engine behind SQLAlchemy has.
NAMES = {"sqlite": "'a\"\\' || char(10)", "postgres": "'a\"\\' || chr(10)", "mariadb": "'a\"\\\\\\n'"}
SIMPLE = (
    "CREATE TABLE t (id bigint NOT NULL, name varchar(50), amount decimal(18, 4), day date, ratio double precision)",
    "INSERT INTO t VALUES (9007199254740993, NAME, 1.2500, '9999-12-31', 0.1), (2, '', NULL, NULL, NULL), "
    "(3, NULL, -0.0001, '1000-01-01', 1e300)",
)
ENGINES = [
    "duckdb",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),  # over HTTP
    pytest.param("chdb", marks=pytest.mark.clickhouse),  # in this process
    "sqlalchemy-sqlite",
    pytest.param("sqlalchemy-postgres", marks=pytest.mark.postgres),
    pytest.param("sqlalchemy-mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Opens a datasource on a fresh database of the engine, in a role."""
    if engine in ("duckdb", "sqlite"):
        options = {"path": str(tmp_path / f"db.{engine}")}
    elif engine == "sqlalchemy-sqlite":
        options = {"driver": "sqlite", "database": str(tmp_path / "db.sqlite")}
    elif engine == "chdb":
        pytest.importorskip("chdb")
        options = {"path": request.getfixturevalue("chdb_home"), "enable_external_access": "true"}
    else:
        server: Server = request.getfixturevalue(engine.removeprefix("sqlalchemy-"))
        options = {
            "host": server.host,
            "port": str(server.port),
            "user": server.user,
            "password": server.password,
        }
        options["database"] = server.database
    if engine.startswith("sqlalchemy-"):
        drivers = {"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql", "sqlite": "sqlite"}
        options["driver"] = drivers[engine.removeprefix("sqlalchemy-")]

    def open_(role: str) -> Connector:
        return connect(datasource("d", engine.partition("-")[0], {**options, "role": role}))

    with open_("read_write").writer() as writer:
        for name in ("child", "t", "t__stg_1"):
            writer.execute(
                f"DROP TABLE IF EXISTS {name}" + (" CASCADE" if engine.endswith("postgres") else "")
            )
        for statement in (
            SIMPLE if engine.startswith("sqlalchemy-") else TABLES[{"chdb": "clickhouse"}.get(engine, engine)]
        ):
            writer.execute(statement.replace("NAME", NAMES.get(engine.removeprefix("sqlalchemy-"), "")))
    yield open_


def run(reader: Any, statement: str) -> None:
    """Past the grammar, as the driver would run it."""
    if hasattr(reader, "wire"):  # ClickHouse asks for a format behind whatever returns rows
        with reader.connector.errors():
            reader.wire.command(statement)
    else:
        reader.rows(statement)


def whole(connector: Connector) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=("t",)), order_by=["id"])))


def alike(left: pa.Table, right: pa.Table) -> bool:
    """Equal, NaN included: bit patterns are compared through Arrow's own IPC bytes of each column."""
    return left.schema == right.schema and all(
        str(a.combine_chunks().to_string()) == str(b.combine_chunks().to_string())
        for a, b in zip(left.columns, right.columns, strict=True)
    )


def test_a_table_goes_out_and_comes_back_unchanged(opened: Opened) -> None:
    connector = opened("read_write")
    before = whole(connector)
    assert before["id"].to_pylist() == [2, 3, 9007199254740993]
    assert before["amount"].to_pylist() == [None, Decimal("-0.0001"), Decimal("1.2500")]
    assert before["name"].to_pylist() == ["", None, 'a"\\\n']
    with connector.writer() as writer:
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        written = writer.write(staging, before.to_batches(max_chunksize=2))
        assert (written.rows, writer.count(staging)) == (3, 3)
        published = writer.publish(staging, ("t",), "replace")
        assert published.atomic
        assert writer.leftovers() == ()
    assert alike(whole(connector), before)


def test_counts_predicates_and_projections_are_the_sources(opened: Opened) -> None:
    with opened("read_only").reader() as reader:
        source = Source(path=("t",))
        assert reader.count(source) == 3
        assert reader.count(source, [Predicate("name", "is null")]) == 1
        assert reader.count(source, [Predicate("id", "in", (2, 3)), Predicate("name", "=", "")]) == 1
        assert reader.fetch("SELECT id FROM t WHERE id = 2").to_pylist() == [{"id": 2}]
        assert list(reader.read(source, where=[Predicate("id", "<", 0)])) == []
        columns = [column for column in reader.describe(source) if column.name == "name"]
        assert columns[0].type.kind == "text"


def test_one_column_keeps_its_nulls(opened: Opened) -> None:
    with opened("read_only").reader() as reader:
        found = reader.fetch("SELECT name FROM t ORDER BY id")
        assert sorted(found["name"].to_pylist(), key=str) == ["", None, 'a"\\\n']


def test_batches_are_bounded(opened: Opened) -> None:
    with opened("read_only").reader() as reader:
        sizes = [batch.num_rows for batch in reader.read(Source(path=("t",)), batch_rows=2)]
        assert max(sizes) <= 2
        assert sum(sizes) == 3


def test_a_reader_cannot_write_whatever_the_grammar_says(opened: Opened) -> None:
    with opened("read_write").reader() as reader:
        for statement in ("DELETE FROM t WHERE id = 2", "CREATE TABLE z (a int)"):
            with pytest.raises(MigrationError) as refusal:
                run(reader, statement)
            assert refusal.value.sqlstate in ("25006", "25P02")
    assert whole(opened("read_only")).num_rows == 3


def test_a_read_only_datasource_refuses_to_write(opened: Opened) -> None:
    connector = opened("read_only")
    with pytest.raises(MigrationError, match="read-only"):
        connector.writer()
    with pytest.raises(MigrationError, match="read-only"):
        connector.execute("DELETE FROM t")


def test_the_row_guard_is_judged_before_commit(opened: Opened, engine: str) -> None:
    connector = opened("read_write")
    if engine in ("clickhouse", "chdb"):
        for guard in ({"rows_between": (0, 1)}, {"dry_run": True}):
            with pytest.raises(MigrationError, match="cannot take back") as refusal:
                connector.execute("DELETE FROM t WHERE id > 0", **guard)  # type: ignore[arg-type]
            assert refusal.value.sqlstate == "0A000"
        connector.execute("DELETE FROM t WHERE id = 2")
        assert whole(connector).num_rows == 2
        return
    with pytest.raises(MigrationError, match="touches 3 rows, not 0 to 1") as refusal:
        connector.execute("DELETE FROM t", rows_between=(0, 1))
    assert refusal.value.sqlstate == "P0004"
    dry = connector.execute("DELETE FROM t", dry_run=True)
    assert (dry.rows, dry.committed) == (3, False)
    assert whole(connector).num_rows == 3
    assert connector.execute("DELETE FROM t WHERE id = 2", rows_between=(1, 1)).rows == 1
    assert whole(connector).num_rows == 2


@pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=pytest.mark.mariadb) for name in ("mariadb", "sqlalchemy-mariadb")],
)
def test_what_no_rollback_takes_back_is_not_tried(opened: Opened) -> None:
    connector = opened("read_write")
    connector.execute("CREATE TABLE lasting (id bigint) ENGINE = MyISAM")
    try:
        connector.execute("INSERT INTO lasting VALUES (1)")
        for guard in ({"rows_between": (0, 0)}, {"dry_run": True}):
            with pytest.raises(MigrationError, match='"lasting" cannot be taken back') as refusal:
                connector.execute("DELETE FROM lasting", **guard)  # type: ignore[arg-type]
            assert refusal.value.sqlstate == "0A000"
        assert connector.execute("INSERT INTO t (id) SELECT 77 FROM lasting", dry_run=True).rows == 1
        with connector.reader() as reader:
            assert reader.count(Source(path=("lasting",))) == 1
    finally:
        connector.execute("DROP TABLE lasting")


def test_a_wrong_type_is_refused_before_the_first_byte(opened: Opened) -> None:
    with opened("read_write").writer() as writer:
        batch = pa.record_batch([pa.array([1.5])], names=["id"])
        with pytest.raises(MigrationError) as refusal:
            writer.write(("t",), [batch])
        assert refusal.value.sqlstate == "HV004"
        assert writer.count(("t",)) == 3
        with pytest.raises(MigrationError, match="no column"):
            writer.check(("t",), pa.schema([("nope", pa.int64())]))


def test_upsert_and_append(opened: Opened) -> None:
    connector = opened("read_write")
    before = whole(connector)
    new = before.slice(0, 2).to_batches()
    with connector.writer() as writer:
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        writer.write(staging, new)
        assert writer.publish(staging, ("t",), "upsert", ["id"]).rows == 2
        assert alike(whole(connector), before)
        writer.create_like(staging, ("t",))
        writer.write(staging, new)
        assert writer.publish(staging, ("t",), "append").rows == 2
        assert writer.count(("t",)) == 5


def test_a_repeated_key_changes_nothing(opened: Opened) -> None:
    connector = opened("read_write")
    before = whole(connector)
    with connector.writer() as writer:
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        writer.write(staging, [*before.to_batches(), *before.to_batches()])
        with pytest.raises(MigrationError, match="not unique"):
            writer.publish(staging, ("t",), "upsert", ["id"])
        assert writer.cleanup("2") == ()
        assert staging[-1:] in [path[-1:] for path in writer.cleanup("1")]
        assert writer.leftovers() == ()
    assert alike(whole(connector), before)


def test_a_missing_table_is_named(opened: Opened) -> None:
    connector = opened("read_only")
    with pytest.raises(MigrationError, match="nothing_here") as refusal:
        connector.describe(("nothing_here",))
    assert refusal.value.sqlstate == "HV00R"
    assert [entry.name for entry in connector.tables()] == ["t"]


def test_a_missing_schema_is_named(opened: Opened, engine: str) -> None:
    with pytest.raises(MigrationError, match="nowhere") as refusal:
        opened("read_write").execute("CREATE TABLE nowhere.t (id int)")
    generic = engine.startswith("sqlalchemy")  # which has the driver's own codes
    assert generic or refusal.value.sqlstate in ("3D000", "3F000")


@pytest.mark.parametrize("engine", [pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_view_keeps_the_old_table_with_the_new_rows(opened: Opened) -> None:
    connector = opened("read_write")
    with connector.writer() as writer:
        writer.execute("CREATE VIEW seen AS SELECT id FROM t")
        staging = writer.staging(("public", "t"), "1")
        writer.create_like(staging, ("public", "t"))
        published = writer.publish(staging, ("public", "t"), "replace")
        assert published.method == "TRUNCATE + INSERT"
        assert writer.fetch("SELECT count(*) AS n FROM seen").to_pylist() == [{"n": 0}]


@pytest.mark.parametrize("engine", [pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_second_reader_joins_an_exported_snapshot(opened: Opened) -> None:
    connector = opened("read_write")
    with connector.reader() as first:
        connector.execute("DELETE FROM t")
        with connector.reader(first.snapshot) as second:
            assert second.count(Source(path=("t",))) == 3
    assert connector.execute("DELETE FROM t", dry_run=True).rows == 0


@pytest.mark.parametrize("engine", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
def test_a_warning_undoes_a_load(opened: Opened) -> None:
    connector = opened("read_write")
    with connector.writer() as writer:
        writer.execute("CREATE OR REPLACE TABLE child (name varchar(2))")
        batch = pa.record_batch([pa.array(["ok", "too long"])], names=["name"])
        with pytest.raises(MigrationError, match="changed or refused"):
            writer.write(("child",), [batch])
        assert writer.count(("child",)) == 0


@pytest.mark.parametrize("engine", [pytest.param("postgres", marks=pytest.mark.postgres)])
def test_other_threads_go_on_while_the_server_thinks(opened: Opened) -> None:
    """A row has come, the next takes a second: nothing may hold the interpreter's lock until then."""
    pauses, done = [], threading.Event()

    def beat() -> None:
        last = time.perf_counter()
        while not done.wait(0.01):
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with opened("read_only").reader() as reader:
            text = (
                "SELECT repeat('x', 100000) AS a, CASE WHEN i = 2 THEN pg_sleep(1)::text END AS b "
                "FROM generate_series(1, 3) AS g(i)"
            )
            columns = reader.describe(Source(query="SELECT ''::text AS a, ''::text AS b"))
            names = [ReadColumn(column.name, column.type) for column in columns]
            assert sum(len(batch) for batch in reader.stream(text, names, 100, 1 << 20)) == 3  # type: ignore[attr-defined]
    finally:
        done.set()
        thread.join()
    assert max(pauses) < 0.5


ENDLESS = {
    "postgres": "SELECT pg_sleep(600)",
    "mariadb": "SELECT count(*) FROM seq_1_to_100000000000 WHERE rand() > 2",
    "clickhouse": "SELECT count() FROM numbers(1000000000000) WHERE rand() % 7 = 9",
    "chdb": "SELECT count() FROM numbers(1000000000000) WHERE rand() % 7 = 9",
}
SERVERS = [
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.mark.parametrize(
    "engine",
    [
        *SERVERS,
        pytest.param("clickhouse", marks=pytest.mark.clickhouse),
        pytest.param("chdb", marks=pytest.mark.clickhouse),
    ],
)
def test_a_running_statement_can_be_interrupted(opened: Opened, engine: str) -> None:
    connector, done = opened("read_only"), threading.Event()

    def keep_interrupting() -> None:
        while not done.wait(0.05):
            connector.interrupt()

    with connector.reader() as reader:
        thread = threading.Thread(target=keep_interrupting)
        thread.start()
        try:
            with pytest.raises(MigrationError) as refusal:
                reader.rows(ENDLESS[engine])  # type: ignore[attr-defined]
        finally:
            done.set()
            thread.join()
        assert refusal.value.sqlstate == "57014"


@pytest.mark.parametrize("engine", SERVERS)
def test_rows_that_stay_keep_their_children(opened: Opened) -> None:
    connector = opened("read_write")
    before = whole(connector)
    with connector.writer() as writer:
        writer.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
        writer.execute("CREATE TABLE child (of bigint, FOREIGN KEY (of) REFERENCES t (id) ON DELETE CASCADE)")
        writer.execute("INSERT INTO child VALUES (2), (3)")
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        writer.write(staging, before.slice(0, 1).to_batches())  # only id 2 stays
        with pytest.raises(MigrationError, match="other rows refer to those that would go"):
            writer.publish(staging, ("t",), "replace")
        assert writer.rows("SELECT of FROM child ORDER BY 1") == [(2,), (3,)]  # type: ignore[attr-defined]
        writer.execute("DELETE FROM child WHERE of = 3")
        published = writer.publish(staging, ("t",), "replace")
        assert published.method == "merge by key"
        assert writer.rows("SELECT of FROM child") == [(2,)]  # type: ignore[attr-defined]
        writer.execute("DROP TABLE child")  # other tests drop the table it refers to
    assert alike(whole(connector), before.slice(0, 1))


@pytest.mark.parametrize("engine", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
def test_batches_of_a_staging_table_are_committed_one_by_one(opened: Opened) -> None:
    """So that a cancel does not wait until a million rows are undone; any other table has all rows or none."""
    connector = opened("read_write")

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": pa.array([1, 2])})
        yield pa.record_batch({"id": pa.array([3])})
        raise KeyboardInterrupt

    with connector.writer() as writer:
        for name, kept in (("x__stg_1", 3), ("x", 0)):
            writer.execute(f"CREATE OR REPLACE TABLE {name} (id bigint)")
            with pytest.raises(KeyboardInterrupt):
                writer.write((name,), broken())
            assert writer.count((name,)) == kept
        writer.begin()
        with pytest.raises(KeyboardInterrupt):  # a transaction of the caller's is the caller's to end
            writer.write(("x__stg_1",), broken())
        writer.rollback()
        assert writer.count(("x__stg_1",)) == 3
        for name in ("x__stg_1", "x"):
            writer.drop((name,))


@pytest.mark.parametrize("engine", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
def test_rows_that_are_interrupted_end_at_once(opened: Opened) -> None:
    """The server's error is the last thing of a result: nobody waits for more."""
    connector = opened("read_only")
    with connector.reader() as reader:
        batches = reader.read(Source(query="SELECT seq AS id FROM seq_1_to_100000000"), batch_rows=1000)
        assert next(iter(batches)).num_rows == 1000
        began = time.perf_counter()
        connector.interrupt()
        with pytest.raises(MigrationError) as refusal:
            for _ in batches:
                pass
    assert refusal.value.sqlstate == "57014"
    assert time.perf_counter() - began < 30  # it waited for ever


TELLING = {
    "postgres": ("SHOW search_path", "EXPLAIN (FORMAT JSON) SELECT * FROM t", "EXPLAIN ANALYZE SELECT 1"),
    "mariadb": ("SHOW COLUMNS FROM t", "EXPLAIN SELECT * FROM t", "DESC t", "SHOW CREATE TABLE t"),
    "duckdb": ("SHOW TABLES", "EXPLAIN SELECT * FROM t", "DESCRIBE t"),
    "sqlite": ("EXPLAIN QUERY PLAN SELECT * FROM t",),
}
RELATIONS = ("VALUES (1), (2)", "WITH a AS (SELECT 1 AS n UNION ALL SELECT 2) SELECT * FROM a", "TABLE t")


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        "duckdb",
        "sqlite",
    ],
)
def test_show_and_explain_are_told_as_texts(opened: Opened, engine: str) -> None:
    opened("read_write")
    connector = opened("read_only")
    with connector.reader() as reader:
        for text in TELLING[engine]:
            found = told(reader, Source(query=f"-- why\n /* so */ {text}"), connector.dialect)
            assert found is not None and found.num_rows > 0
            assert all(type_ == pa.string() for type_ in found.schema.types)
        for text in (
            "EXPLAIN DELETE FROM t",
            "EXPLAIN ANALYZE DELETE FROM t",
            "EXPLAIN SELECT 1; DROP TABLE t",
        ):
            with pytest.raises(MigrationError) as refusal:
                told(reader, Source(query=text), connector.dialect)
            assert refusal.value.sqlstate in ("25006", "42601")
        for text in RELATIONS:
            if (engine, text[:5]) in (("mariadb", "VALUE"), ("mariadb", "TABLE"), ("sqlite", "TABLE")):
                continue  # they have no such statement
            source = Source(query=text)
            assert told(reader, source, connector.dialect) is None
            assert sum(batch.num_rows for batch in reader.read(source)) in (2, 3)
