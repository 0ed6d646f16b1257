"""ClickHouse's traps: what its loader would change in silence is refused, and nothing is ever half published."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.telling import told
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.journal import Journal
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer.settling import settle
from migration.transfer.undertaking import abandon, resume, undertake
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.clickhouse


def options(server: Server, role: str = "read_write", **more: str) -> dict[str, str]:
    given = {"host": server.host, "port": str(server.port), "user": server.user, "password": server.password}
    return {**given, "role": role, **more}


@pytest.fixture
def click(clickhouse: Server) -> Iterator[Connector]:
    connector = connect(datasource("click", "clickhouse", options(clickhouse)))
    for entry in connector.tables():
        connector.execute(f"DROP TABLE `{entry.name}`")
    yield connector
    connector.close()


def duck(path: Path, *statements: str) -> Connector:
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            connection.execute(statement)
    return connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))


def ids(connector: Connector, table: str = "t") -> list[int]:
    with connector.reader() as reader:
        return sorted(reader.fetch(f"SELECT id FROM {table}")["id"].to_pylist())


@pytest.mark.parametrize(
    ("type_", "array", "sqlstate"),
    [
        ("Int32", pa.array([1, None], pa.int32()), "23502"),
        ("String DEFAULT 'x'", pa.array(["a", None]), "23502"),
        ("Array(Nullable(Int32))", pa.array([[1], None], pa.list_(pa.int32())), "HV004"),
        ("Date", pa.array([date(1969, 12, 31)]), "HV004"),
        ("Date", pa.array([date(2149, 6, 7)]), "HV004"),
        ("Date32", pa.array([date(1899, 12, 31)]), "HV004"),
        ("Date32", pa.array([2**31 - 1], pa.int32()).view(pa.date32()), "HV004"),
        ("DateTime", pa.array([datetime(1969, 12, 31)], pa.timestamp("us")), "HV004"),
        ("DateTime", pa.array([datetime(2107, 1, 1)], pa.timestamp("us")), "HV004"),
        ("DateTime", pa.array([datetime(2020, 1, 1, microsecond=1)], pa.timestamp("us")), "HV004"),
        ("DateTime64(3)", pa.array([datetime(2020, 1, 1, microsecond=1)], pa.timestamp("us")), "HV004"),
        ("DateTime64(6)", pa.array([datetime(2300, 1, 1)], pa.timestamp("us")), "HV004"),
        ("DateTime64(6)", pa.array([2**63 - 1]).view(pa.timestamp("us")), "HV004"),
        ("DateTime64(6, 'UTC')", pa.array([datetime(1, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")), "HV004"),
        ("FixedString(3)", pa.array([b"ab"]), "HV004"),
        ("Int8", pa.array([300], pa.int32()), "HV004"),
        ("Decimal(9, 1)", pa.array([Decimal("1.25")], pa.decimal128(9, 2)), "HV004"),
        ("UInt128", pa.array([Decimal(-1)], pa.decimal256(39, 0)), "HV004"),
        ("Float32", pa.array([0.1], pa.float64()), "HV004"),
        ("Enum8('a' = 1)", pa.array(["b"]), "HV004"),
        ("JSON", pa.array(['{"a": null}']), "HV004"),
        ("Map(String, Int64)", pa.array(['{"a": 1, "a": 2}']), "HV004"),
        ("Tuple(a Int32, b String)", pa.array(['{"a": 1}']), "HV004"),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_loader_would_change_is_refused(
    click: Connector, type_: str, array: pa.Array, sqlstate: str
) -> None:
    with click.writer() as writer:
        writer.execute(f"CREATE TABLE t (v {type_}) ENGINE = MergeTree ORDER BY tuple()")
        with pytest.raises(MigrationError) as refusal:
            writer.write(("t",), [pa.record_batch([array], names=["v"])])
        assert refusal.value.sqlstate == sqlstate
        assert writer.count(("t",)) == 0


def test_bytes_go_into_a_string_as_they_are(click: Connector) -> None:
    with click.writer() as writer:
        writer.execute("CREATE TABLE t (v Nullable(String)) ENGINE = MergeTree ORDER BY tuple()")
        writer.write(("t",), [pa.record_batch([pa.array([b"\xff\x00", None])], names=["v"])])
        assert sorted(writer.fetch("SELECT hex(v) AS v FROM t")["v"].to_pylist(), key=str) == ["FF00", None]
        with pytest.raises(MigrationError, match="cannot hold"):
            writer.fetch("SELECT v FROM t")


def test_every_statement_of_a_reader_is_read_only_for_the_server(click: Connector) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    with click.reader() as reader:
        wire = reader.wire  # type: ignore[attr-defined]
        for statement in (
            "INSERT INTO t SELECT 1",
            "DROP TABLE t",
            "CREATE TEMPORARY TABLE x (a Int8)",
            "SELECT * FROM file('/etc/hostname', 'LineAsString', 'a String')",
            "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
            "SELECT 1 SETTINGS readonly = 0",
        ):
            with pytest.raises(Exception, match=r"(?i)readonly"):
                wire.command(statement)
    assert ids(click) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
        "SELECT * FROM remote('127.0.0.1', 'default.t')",
        "SELECT 1; SELECT 2",
        "SELECT '\\\\'; DROP TABLE t; --",
        "INSERT INTO t SELECT 1",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 INTO OUTFILE '/tmp/bough-outfile'",
        "SELECT 1 AS a FORMAT CSV",
        "SELECT * FROM (SELECT 1) AS q) INTO OUTFILE '/tmp/bough-outfile' --",
        "SHOW TABLES INTO OUTFILE '/tmp/bough-outfile'",
        "SHOW TABLES SETTINGS readonly = 0",
        "SHOW TABLES PARALLEL WITH DROP TABLE t",
        "SHOW TABLES; DROP TABLE t",
        "SHOW TABLES WHERE name = file('/etc/hostname')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/', 'CSV')",
        "DESCRIBE TABLE (SELECT * FROM file('/etc/hostname'))",
        "DESCRIBE TABLE t SETTINGS readonly = 0",
        "EXPLAIN header = 1 INSERT INTO t SELECT 1",
    ],
)
def test_the_grammar_refuses_too(click: Connector, query: str) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    with click.reader() as reader, pytest.raises(MigrationError) as refusal:
        reader.fetch(query)
    assert refusal.value.sqlstate in ("25006", "42601")
    assert not Path("/tmp/bough-outfile").exists()


@pytest.mark.parametrize(
    ("statement", "names", "rows"),
    [
        ("SHOW TABLES", ["name"], [("t",)]),
        ("show tables LIKE 'nothing (yet)%';", ["name"], []),
        ("SHOW SETTINGS LIKE 'max_block_size'", ["name", "type", "value"], 1),
        ("SHOW CREATE TABLE t", ["statement"], 1),
        ("EXPLAIN PIPELINE graph = 1, compact = 0 SELECT id FROM t", ["explain"], None),
        ("EXPLAIN QUERY TREE SELECT id FROM t", ["explain"], None),
    ],
)
def test_statements_that_tell_are_answered(
    click: Connector, statement: str, names: list[str], rows: list[tuple[str, ...]] | int | None
) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    with click.reader() as reader:
        answer = told(reader, Source(query=statement), "clickhouse")
        assert answer is not None and answer.column_names == names
        found = [tuple(row.values()) for row in answer.to_pylist()]
        assert found if rows is None else rows in (found, len(found))
        answer = told(reader, Source(query="DESCRIBE t"), "clickhouse")
    assert answer is not None and [row["type"] for row in answer.to_pylist()] == ["Int64"]


def test_a_wrong_password_is_an_error_without_it(clickhouse: Server) -> None:
    connector = connect(
        datasource("click", "clickhouse", {**options(clickhouse), "password": "not the secret"})
    )
    with pytest.raises(MigrationError) as refusal:
        connector.test()
    assert refusal.value.sqlstate == "HV00N"
    assert "not the secret" not in f"{refusal.value.message} {refusal.value.detail}"


def test_a_statement_has_its_time(clickhouse: Server) -> None:
    limited = connect(datasource("click", "clickhouse", options(clickhouse, statement_timeout="1s")))
    with limited.reader() as reader, pytest.raises(MigrationError) as refusal:
        reader.fetch("SELECT count() AS n FROM numbers(1000000000000) WHERE rand() % 7 = 9")
    assert refusal.value.sqlstate == "57014"


def test_in_process_takes_no_statements_unless_the_settings_allow_it(chdb_home: str) -> None:
    pytest.importorskip("chdb")
    connector = connect(datasource("inner", "clickhouse", {"path": chdb_home, "role": "read_write"}))
    with pytest.raises(MigrationError, match="takes no statements") as refusal:
        connector.execute("CREATE TABLE x (a Int8) ENGINE = Memory")
    assert refusal.value.sqlstate == "42501"
    with connector.reader() as reader:
        assert reader.fetch("SELECT 1 AS one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (("CREATE TABLE kept_nowhere (id Int64) ENGINE = Memory",), ("kept_nowhere",)),
        (("CREATE DATABASE nowhere ENGINE = Memory",), ("nowhere", "t")),
        (
            ("CREATE DATABASE nowhere ENGINE = Memory", "CREATE TABLE nowhere.t (id Int64) ENGINE = Log"),
            ("nowhere", "t"),
        ),
    ],
    ids=["table", "new table", "database"],
)  # fmt: skip
def test_what_this_process_has_in_memory_is_no_target(
    chdb_home: str, tmp_path: Path, made: tuple[str, ...], path: tuple[str, ...]
) -> None:
    """The rows would be gone with the session that wrote them, after a verdict of pass."""
    pytest.importorskip("chdb")
    given = {"path": chdb_home, "role": "read_write", "enable_external_access": "true"}
    inner = connect(datasource("inner", "clickhouse", given))
    source = duck(tmp_path / "d.duckdb", "CREATE TABLE s AS SELECT 1::BIGINT AS id")
    with inner.writer() as writer:  # whose session keeps the engine, and with it what is in memory
        for statement in made:
            writer.execute(statement)
        request = TransferRequest(Source(path=("main", "s")), path)
        with pytest.raises(
            MigrationError, match="has the engine Memory: what is written there is gone"
        ) as refusal:
            plan(request, source, inner)
        assert refusal.value.sqlstate == "0A000"
        writer.execute("DROP DATABASE IF EXISTS nowhere")
        writer.execute("DROP TABLE IF EXISTS kept_nowhere")


def test_in_memory_of_a_server_rows_stay_as_long_as_it(click: Connector, tmp_path: Path) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = Memory")
    source = duck(tmp_path / "d.duckdb", "CREATE TABLE s AS SELECT 1::BIGINT AS id")
    request = TransferRequest(Source(path=("main", "s")), ("t",))
    result = run(plan(request, source, click))
    assert (result.verdict, ids(click)) == ("pass", [1])
    assert "the engine of the table is Memory: its rows are gone when the server stops" in result.notes
    remade = TransferRequest(Source(path=("main", "s")), ("t",), options=TransferOptions(recreate=True))
    assert not [note for note in run(plan(remade, source, click)).notes if "Memory" in note]


@pytest.mark.parametrize(
    "engine",
    [
        "Null",
        "Buffer(currentDatabase(), t, 1, 10, 100, 10, 100, 10, 100)",
        "File(CSV)",
        "Set",
        "Merge('default', '^t$')",
    ],
)
def test_an_engine_that_keeps_no_rows_of_its_own_is_no_target(
    click: Connector, tmp_path: Path, engine: str
) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    click.execute(f"CREATE TABLE other (id Int64) ENGINE = {engine}")
    source = duck(tmp_path / "d.duckdb", "CREATE TABLE s AS SELECT 1::BIGINT AS id")
    for mode in ("replace", "append"):
        request = TransferRequest(Source(path=("main", "s")), ("other",), mode)  # type: ignore[arg-type]
        with pytest.raises(MigrationError, match="cannot be staged") as refusal:
            plan(request, source, click)
        assert refusal.value.sqlstate == "0A000"
    click.execute("DROP TABLE other")


def test_a_table_that_merges_rows_says_so(click: Connector, tmp_path: Path) -> None:
    click.execute("CREATE TABLE t (id Int64) ENGINE = ReplacingMergeTree ORDER BY id")
    source = duck(
        tmp_path / "d.duckdb",
        "CREATE TABLE s AS SELECT 1::BIGINT AS id",
        "CREATE TABLE d AS FROM s, range(2)",
    )
    with plan(TransferRequest(Source(path=("main", "s")), ("t",)), source, click) as ready:
        assert any(
            "ReplacingMergeTree, makes one row of those with one sorting key" in note for note in ready.notes
        )
    twice = TransferRequest(Source(query="SELECT id FROM d"), ("t",))
    with pytest.raises(MigrationError) as refusal:
        run(plan(twice, source, click))
    assert refusal.value.sqlstate == "VT002"
    assert ids(click) == []


def test_a_result_that_breaks_off_is_no_result() -> None:
    from migration.connectors.clickhouse_wire import ClickHouseError, Wire

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("a", pa.int64())])) as stream:
        for start in range(3):
            stream.write_batch(pa.record_batch([pa.array([start])], names=["a"]))
    whole = sink.getvalue().to_pybytes()

    class Client:
        content = whole

        def raw_stream(self, *_: object, **__: object) -> io.BytesIO:
            return io.BytesIO(self.content)

    client = Client()
    assert len(list(Wire(client, {}).batches("SELECT"))) == 3
    for broken in (whole[:-8], whole[:-8] + b"Code: 241. DB::Exception: Memory limit exceeded", whole[:-300]):
        client.content = broken
        with pytest.raises(ClickHouseError) as refusal:
            list(Wire(client, {}).batches("SELECT"))
    client.content = whole[:-8] + b"Code: 241. DB::Exception: Memory limit exceeded"
    with pytest.raises(ClickHouseError, match="Memory limit") as refusal:
        list(Wire(client, {}).batches("SELECT"))
    assert "241" in str(refusal.value)


def staged(click: Connector, numbers: list[int], job: str = "1") -> tuple[str, ...]:
    with click.writer() as writer:
        staging = writer.staging(("t",), job)
        writer.create_like(staging, ("t",))
        writer.write(
            staging,
            [pa.record_batch([pa.array(numbers), pa.array(["new"] * len(numbers))], names=["id", "v"])],
        )
    return staging


@pytest.fixture
def table(click: Connector) -> Connector:
    click.execute(
        "CREATE TABLE t (id Int64, v Nullable(String)) ENGINE = MergeTree ORDER BY id PARTITION BY id % 3 "
        "COMMENT 'ours'"
    )
    click.execute("INSERT INTO t SELECT number, 'old' FROM numbers(6)")
    return click


def test_append_over_several_partitions_is_one_step(table: Connector) -> None:
    staging = staged(table, [100, 101, 102])
    with table.writer() as writer:
        published = writer.publish(staging, ("t",), "append")
    assert (published.atomic, published.rows) == (True, 3)
    assert ids(table) == [0, 1, 2, 3, 4, 5, 100, 101, 102]
    assert table.describe(("t",)).spec.comment == "ours"


def test_upsert_keeps_what_is_not_staged(table: Connector) -> None:
    table.execute("INSERT INTO t (id, v) SELECT 77, NULL")
    staging = staged(table, [5, 6])
    with table.writer() as writer:
        published = writer.publish(staging, ("t",), "upsert", ["id"])
        assert (published.atomic, published.rows) == (True, 2)
        found = writer.fetch("SELECT id, v FROM t ORDER BY id").to_pylist()
    assert [(row["id"], row["v"]) for row in found] == [
        (0, "old"), (1, "old"), (2, "old"), (3, "old"), (4, "old"), (5, "new"), (6, "new"), (77, None),
    ]  # fmt: skip


def test_rows_that_others_write_meanwhile_are_not_lost(table: Connector) -> None:
    from migration.connectors.clickhouse_writer import ClickhouseWriter

    staging = staged(table, [100])
    with table.writer() as writer:
        assert isinstance(writer, ClickhouseWriter)
        before = writer._state(("t",))
        table.execute("INSERT INTO t SELECT 55, 'theirs'")
        with pytest.raises(MigrationError) as refusal:
            writer._exchange(staging, ("t",), writer._facts(("t",)), (), before)  # type: ignore[arg-type]
        assert refusal.value.sqlstate == "40001"
        states = iter([before, writer._state(("t",))])
        writer._state = lambda path: next(states)  # type: ignore[method-assign]
        with pytest.raises(MigrationError) as refusal:  # noticed behind the exchange only
            writer._exchange(staging, ("t",), writer._facts(("t",)), (), before)  # type: ignore[arg-type]
        assert refusal.value.sqlstate == "40001"
    assert ids(table) == [0, 1, 2, 3, 4, 5, 55]
    assert table.describe(("t",)).spec.comment == "ours"


@pytest.mark.parametrize("step", ["EXCHANGE", "DROP TABLE IF EXISTS"])
def test_a_transfer_killed_while_it_publishes_is_judged_rightly(
    table: Connector, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before the statement ``step`` is sent: before the exchange the target is old, behind it new."""
    from migration.connectors.clickhouse_wire import Wire

    source = duck(tmp_path / "a.duckdb", "CREATE TABLE s AS SELECT 900 AS id, 'new' AS v")
    journal = Journal(tmp_path / "journal.sqlite")
    request = TransferRequest(
        Source(path=("main", "s")), ("default", "t"), mode="append", source_name="duck", target_name="click"
    )
    command = Wire.command
    publishing = []

    class Killed(BaseException):
        pass

    def dying(wire: Wire, text: str) -> int | None:
        publishing.append("MODIFY COMMENT" in text)
        if text.startswith(step) and any(publishing):
            monkeypatch.setattr(Wire, "command", dead)
            raise Killed
        return command(wire, text)

    def dead(wire: Wire, text: str) -> int | None:
        raise Killed

    monkeypatch.setattr(Wire, "command", dying)
    with pytest.raises(Killed):
        run(plan(request, source, table, journal=journal), journal=journal)
    monkeypatch.setattr(Wire, "command", command)
    entry = journal.entries()[0]
    published = step != "EXCHANGE"
    assert ids(table) == [0, 1, 2, 3, 4, 5, *([900] if published else [])]
    journal.update(
        entry.id, state="publishing", error="killed", staging=entry.staging or _only_leftover(table)
    )
    found = journal.entry(entry.id)
    assert found is not None
    assert settle(journal, found, table) is published
    assert ids(table) == [0, 1, 2, 3, 4, 5, *([900] if published else [])]


def _only_leftover(connector: Connector) -> tuple[str, ...]:
    with connector.writer() as writer:
        (found,) = writer.leftovers()
        return found


def test_materialized_views_see_appended_rows(table: Connector) -> None:
    table.execute(
        "CREATE MATERIALIZED VIEW seen ENGINE = MergeTree ORDER BY id AS SELECT id FROM t WHERE id >= 100"
    )
    with table.writer() as writer:
        published = writer.publish(staged(table, [100, 101]), ("t",), "append")
        assert not published.atomic
    assert ids(table, "seen") == [100, 101]
    with table.writer() as writer:
        published = writer.publish(staged(table, [102]), ("t",), "replace")
    assert (published.atomic, published.notes) == (True, ("materialized view seen keeps what it had",))
    assert (ids(table), ids(table, "seen")) == ([102], [100, 101])


@pytest.mark.parametrize("engine", ["MergeTree ORDER BY id", "Log"])
@pytest.mark.parametrize("ends", ["killed", "refused"])
def test_rows_that_were_added_or_not_for_views_are_not_added_again(
    click: Connector, tmp_path: Path, ends: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An INSERT of several blocks that breaks off leaves some of them, and a process may end right behind it."""
    from migration.connectors.clickhouse_wire import Wire

    many = 150_000  # more than one block
    click.execute(f"CREATE TABLE t (id Int64, v Nullable(String)) ENGINE = {engine}")
    bad = f"throwIf(id = {many - 1})" if ends == "refused" else "0"
    click.execute(f"CREATE MATERIALIZED VIEW seen ENGINE = Memory AS SELECT id, {bad} AS x FROM t")
    source = duck(
        tmp_path / "a.duckdb", f"CREATE TABLE s AS SELECT range AS id, 'new' AS v FROM range({many})"
    )
    request = TransferRequest(Source(path=("main", "s")), ("default", "t"), mode="append")
    command = Wire.command

    class Killed(BaseException):
        pass

    def dying(wire: Wire, text: str) -> int | None:
        answer = command(wire, text)
        if text.startswith("INSERT INTO") and "SELECT" in text and ends == "killed":
            raise Killed
        return answer

    with closing(Journal(tmp_path / "journal.sqlite")) as journal, closing(source):
        with monkeypatch.context() as patch, pytest.raises((Killed, MigrationError)) as broken:
            patch.setattr(Wire, "command", dying)
            undertake(request, source, click, journal=journal)
        if ends == "refused":
            assert "RESUME TRANSFER 1 finds out" in str(getattr(broken.value, "hint", ""))
        there = len(ids(click))
        with pytest.raises(MigrationError, match="cannot tell if they arrived") as refusal:
            resume(journal, 1, source, click)
        assert (refusal.value.sqlstate, "CANCEL TRANSFER 1" in str(refusal.value.hint)) == ("55000", True)
        with pytest.raises(MigrationError, match="cannot tell if they arrived"):
            undertake(request, source, click, journal=journal)
        assert not abandon(journal, 1, source, click)
        entry = journal.entry(1)
        assert entry is not None and (entry.state, len(ids(click))) == ("cancelled", there)
        assert f"nobody can tell whether its {many} rows arrived" in str(entry.error)
    with click.writer() as writer:
        assert not writer.leftovers()


def test_a_table_that_keeps_no_rows_is_not_staged(click: Connector) -> None:
    click.execute("CREATE TABLE real (id Int64) ENGINE = MergeTree ORDER BY id")
    click.execute(
        "CREATE TABLE t (id Int64) ENGINE = Buffer(default, real, 1, 10, 100, 10, 100, 1000, 10000)"
    )
    with click.writer() as writer, pytest.raises(MigrationError, match="engine Buffer") as refusal:
        writer.create_like(writer.staging(("t",), "1"), ("t",))
    assert refusal.value.sqlstate == "0A000"


WIDE = (
    "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme ' || i END AS name, "
    "(i / 8)::DECIMAL(18,4) AS m, i * 170141183460469231731687303715884::HUGEINT AS h, "
    "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, DATE '2024-01-01' + (i % 365)::INTEGER AS day, "
    "CASE WHEN i % 3 > 0 THEN i % 2 = 0 END AS b, i / 3.0 AS d, 9223372036854775807 - i AS big, "
    "[i, NULL] AS l, {'a': i, 'b': 'x'} AS st, encode('é' || i) AS raw FROM range(2000) AS r(i)"
)


def test_a_wide_table_moves_both_ways_and_every_level_agrees(click: Connector, tmp_path: Path) -> None:
    source = duck(tmp_path / "a.duckdb", WIDE)
    request = TransferRequest(
        Source(path=("main", "s")), ("default", "t"), options=TransferOptions(verify="L4")
    )
    result = run(plan(request, source, click))
    assert (result.verdict, result.rows_transferred, result.transferred_row_count) == ("pass", 2000, 2000)
    with click.reader() as reader:
        types = {column.name: column.declared for column in reader.describe(Source(path=("t",)))}
    assert types["h"] == "Nullable(Int128)"
    assert types["l"] == "Array(Nullable(Int64))"
    sides = Side(source, Source(path=("main", "s"))), Side(click, Source(path=("default", "t")))
    report = reconcile(*sides, key=("id",), checks=("all",))
    assert [check for check in report.checks if check.verdict == "fail"] == []
    back = duck(tmp_path / "b.duckdb")
    request = TransferRequest(
        Source(path=("default", "t")), ("main", "u"), options=TransferOptions(skip=("raw",), verify="L3")
    )
    assert run(plan(request, click, back)).verdict == "pass"


def test_fingerprints_of_the_engines_agree(click: Connector, tmp_path: Path) -> None:
    source = duck(tmp_path / "a.duckdb", WIDE)
    request = TransferRequest(
        Source(query="SELECT id, name, m, h, seen, day, b, big FROM s"), ("default", "t")
    )
    run(plan(request, source, click))
    query = "SELECT id, name, m, h, seen, day, b, big FROM "
    sides = Side(source, Source(query=query + "s")), Side(click, Source(query=query + "t"))
    report = reconcile(*sides, checks=("fingerprint",), pushed=True)
    assert (report.checks[0].verdict, report.checks[0].detail) == ("pass", "computed by the engines")
    assert report.verdict == "inconclusive"  # ClickHouse has no snapshots, and the report says so
    click.execute("ALTER TABLE t UPDATE name = 'näme 6' WHERE id = 5 SETTINGS mutations_sync = 1")
    assert reconcile(*sides, checks=("fingerprint",), pushed=True).verdict == "fail"


def test_measures_of_the_engine_are_those_of_the_rows(click: Connector) -> None:
    from migration.measures.columns import differences, measure_batches
    from migration.measures.sql import measure_query, read_row

    click.execute(
        "CREATE TABLE t (i Nullable(Int64), u UInt64, w Nullable(Int128), m Nullable(Decimal(18, 4)), "
        "f Nullable(Float64), g Float32, s Nullable(String), lc LowCardinality(String), d Nullable(Date32), "
        "e Date, a Nullable(DateTime64(6)), n DateTime64(9, 'UTC'), b Nullable(Bool), k UUID, x FixedString(2)) "
        "ENGINE = MergeTree ORDER BY tuple()"
    )

    def agree() -> None:
        with click.reader() as reader:
            columns = [(column.name, column.type) for column in reader.describe(Source(path=("t",)))]
            query = measure_query("clickhouse", Source(path=("t",)), columns)
            assert query is not None
            row = reader.fetch(query.sql)
            own = read_row(query, [column[0].as_py() for column in row.columns])
            counted = measure_batches(reader.read(Source(path=("t",))), columns)
        assert [found for found in differences(own, counted) if not found[2]] == []

    agree()
    values = (
        "9223372036854775807, 18446744073709551615, 170141183460469231731687303715884105727, 1.25, nan, nan, 'é', 'x', "
        "'1900-01-01', '1970-01-01', '1900-01-01 00:00:00.000001', '2020-01-01 00:00:00.123456789', true, "
        "'00112233-4455-6677-8899-aabbccddeeff', 'ab'"
    )
    nulls = "NULL, 0, NULL, NULL, NULL, 1.5, NULL, '', NULL, '2149-06-06', NULL, '1970-01-01 00:00:00', NULL"
    click.execute(f"INSERT INTO t VALUES ({values})")
    agree()
    click.execute(f"INSERT INTO t VALUES ({values.replace('nan, nan', '-inf, 0.1')}), ({values})")
    click.execute(f"INSERT INTO t VALUES ({nulls}, '00000000-0000-0000-0000-000000000000', '\\0z')")
    agree()


def test_a_cast_never_wraps(click: Connector, tmp_path: Path) -> None:
    click.execute("CREATE TABLE t (id Int64, v Nullable(Int32)) ENGINE = MergeTree ORDER BY id")
    click.execute("INSERT INTO t VALUES (1, 300), (2, NULL)")
    target = duck(tmp_path / "a.duckdb")
    for wanted, fits in (("TINYINT", False), ("SMALLINT", True)):
        options_ = TransferOptions.from_pairs([("cast", f"v AS {wanted}")])
        request = TransferRequest(Source(path=("default", "t")), ("main", "u"), options=options_)
        if fits:
            run(plan(request, click, target))
            continue
        with pytest.raises(MigrationError):
            run(plan(request, click, target))
    with target.reader() as reader:
        assert reader.fetch("SELECT v FROM u ORDER BY id")["v"].to_pylist() == [300, None]


def test_a_table_without_a_key_is_sorted_by_what_its_rows_are_like(click: Connector, tmp_path: Path) -> None:
    source = duck(
        tmp_path / "a.duckdb",
        "CREATE TABLE s (number BIGINT NOT NULL, status_id INTEGER NOT NULL, note VARCHAR)",
        "INSERT INTO s SELECT i * 7, i % 5, 'n' || i FROM range(3000) AS r(i)",
    )
    with plan(TransferRequest(Source(path=("main", "s")), ("default", "sorted")), source, click) as item:
        assert "ORDER BY (status_id, number)" in item.create_sql
        assert item.layout is not None and item.layout.confidence == "measured"
