"""Redshift's connector against a stand-in: PostgreSQL behind a proxy that refuses what Redshift lacks, moto for S3."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from redshift_stand_in import StandIn, redshift_server
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Predicate, Source
from migration.connectors.redshift_catalog import column
from migration.connectors.redshift_load import csv_bytes
from migration.datasources.datasource import datasource
from migration.datasources.secrets import MASK
from migration.errors import MigrationError
from migration.schema.transfer import requests, run_schema
from migration.schema.views import plan_views
from migration.statements import check_statement
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.redshift, pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")]
TEXTS = ["", None, 'a"\\\n,\t', "'", "é😀", "null"]
PLAIN = pa.record_batch(
    {
        "id": pa.array([9007199254740993, 2, 3, 4, 5, 6]),
        "name": pa.array(TEXTS),
        "amount": pa.array(
            [Decimal("12345678901234.5678"), None, Decimal("-0.0001")] * 2, pa.decimal128(18, 4)
        ),
        "seen": pa.array([1577836800123456, None, -1] * 2, pa.int64()).cast(pa.timestamp("us")),
        "day": pa.array([0, None, -800000] * 2, pa.int32()).cast(pa.date32()),
        "ratio": pa.array([0.1, None, 1e300] * 2),
        "small": pa.array([0.1, None, 16777216.0] * 2, pa.float32()),
        "yes": pa.array([True, None, False] * 2),
    }
)
OTHERS = PLAIN.append_column(
    "moment", pa.array([1577836800123456, None, -1] * 2, pa.int64()).cast(pa.timestamp("us", "UTC"))
).append_column("raw", pa.array([b"\xff\x00", b"", None] * 2))
TABLE = (
    "CREATE TABLE public.t (id bigint NOT NULL, name varchar(200), amount numeric(18,4), seen timestamp, day date, "
    "ratio double precision, small real, yes boolean{more}, PRIMARY KEY (id)) DISTSTYLE AUTO SORTKEY (id)"
)
T = ("public", "t")


@pytest.fixture(scope="module")
def red(postgres: Server) -> Iterator[StandIn]:
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask_cors") is None:
        pytest.skip("moto is not installed")
    with redshift_server(postgres) as stand_in:
        yield stand_in


@pytest.fixture
def shift(red: StandIn) -> Iterator[Connector]:
    connector = connect(datasource("shift", "redshift", red.options(role="read_write")))
    with connector.writer() as writer:
        for kind in ("VIEW", "TABLE"):
            for entry in connector.tables("public"):
                if entry.kind.upper() == kind:
                    writer.execute(f'DROP {kind} public."{entry.name}" CASCADE')
    yield connector
    connector.close()
    assert red.left() == []


def whole(connector: Connector, path: tuple[str, ...] = T) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=path), order_by=["id"])))


def made(connector: Connector, batch: pa.RecordBatch, more: str = "") -> str:
    """The table with these rows; by which way they came."""
    with connector.writer() as writer:
        writer.execute(TABLE.format(more=more))
        result = writer.write(T, [batch.slice(0, 2), batch.slice(2)])
        assert result.rows == 6
    return result.method


@pytest.mark.parametrize(
    ("batch", "more", "method"),
    [
        (PLAIN, "", "COPY FROM S3 (Parquet)"),
        (OTHERS, ", moment timestamptz, raw varbyte(64)", "COPY FROM S3 (CSV)"),
        (PLAIN.select(["name", "id"]), "", "COPY FROM S3 (CSV)"),  # not the whole table: by names
    ],
)
def test_rows_go_by_s3_and_come_back_by_a_cursor(
    shift: Connector, red: StandIn, batch: pa.RecordBatch, more: str, method: str
) -> None:
    assert made(shift, batch, more) == method
    assert len(red.loaded) == 2  # an object and the manifest
    assert all(key.startswith("in/coming/bough/public/t/") for key in red.loaded)
    back = whole(shift).select(batch.schema.names)
    assert back.equals(pa.Table.from_batches([batch]).sort_by("id").cast(back.schema))


def test_it_says_what_it_is(shift: Connector) -> None:
    assert shift.version() == "1.0.98765"
    made(shift, PLAIN)
    found = shift.describe(T)
    assert found.spec.primary_key == ("id",)
    assert found.spec.column("amount").declared == "numeric(18,4)"  # type: ignore[union-attr]
    assert not found.spec.column("id").nullable  # type: ignore[union-attr]
    assert shift.schemas() == ["public"]
    with pytest.raises(MigrationError) as refusal:
        shift.describe(("public", "nothing_here"))
    assert refusal.value.sqlstate == "HV00R"
    query = Source(query="SELECT count(*) AS n, max(name) AS name FROM public.t")
    with shift.reader() as reader:
        assert [(each.name, each.type.kind) for each in reader.describe(query)] == [
            ("n", "int64"),
            ("name", "text"),
        ]
        assert reader.count(Source(path=T), [Predicate("name", "=", TEXTS[2])]) == 1
        assert reader.fetch("SELECT count(*) AS n FROM public.t").to_pylist() == [{"n": 6}]


def test_many_rows_come_a_thousand_at_a_time(shift: Connector, red: StandIn) -> None:
    with shift.writer() as writer:
        writer.execute("CREATE TABLE public.t (id bigint)")
        writer.write(T, [pa.record_batch({"id": pa.array(range(2500))})])
    red.statements.clear()
    assert whole(shift)["id"].to_pylist() == list(range(2500))
    assert sum(text.startswith("FETCH FORWARD 1000 ") for text in red.statements) == 4


def test_a_snapshot_holds_while_others_write(shift: Connector) -> None:
    made(shift, PLAIN)
    with shift.reader() as reader:
        assert reader.consistent
        first = next(iter(reader.read(Source(path=T), batch_rows=1)))
        assert first.num_rows == 1
        with pytest.raises(MigrationError) as refusal:
            reader.rows("DELETE FROM public.t")  # type: ignore[attr-defined]
        assert refusal.value.sqlstate == "25006"


def test_a_replace_is_a_swap_that_keeps_the_keys(shift: Connector, red: StandIn) -> None:
    made(shift, PLAIN)
    red.statements.clear()
    with shift.writer() as writer:
        staging = writer.staging(T, "7")
        writer.create_like(staging, T)
        writer.write(staging, [PLAIN.slice(0, 2)])
        published = writer.publish(staging, T, "replace")
    assert (published.method, published.atomic) == ("rename pair", True)
    start = red.statements.index("BEGIN")
    assert [text.split(" ")[0] for text in red.statements[start : start + 5]] == [
        "BEGIN", "ALTER", "ALTER", "DROP", "COMMIT",
    ]  # fmt: skip
    assert whole(shift)["id"].to_pylist() == [2, 9007199254740993]
    assert shift.describe(T).spec.primary_key == ("id",)
    assert [entry.name for entry in shift.tables("public")] == ["t"]


@pytest.mark.parametrize(
    "attached",
    [
        "CREATE VIEW public.v AS SELECT name FROM public.t",
        "GRANT SELECT ON public.t TO PUBLIC",
        "COMMENT ON COLUMN public.t.id IS 'key'",
        "CREATE TABLE public.child (of bigint REFERENCES public.t (id))",
    ],
)
def test_what_hangs_on_a_table_keeps_it_where_it_is(shift: Connector, red: StandIn, attached: str) -> None:
    made(shift, PLAIN)
    with shift.writer() as writer:
        writer.execute(attached)
        staging = writer.staging(T, "7")
        writer.create_like(staging, T)
        writer.write(staging, [PLAIN.slice(1, 1)])
        assert writer.publish(staging, T, "replace").method == "DELETE + INSERT"
    assert whole(shift)["id"].to_pylist() == [2]


def test_upsert_updates_by_key(shift: Connector) -> None:
    made(shift, PLAIN)
    rows = pa.record_batch({"id": pa.array([2, 7]), "name": pa.array(["new", "newer"])})
    with shift.writer() as writer:
        writer.execute("CREATE TABLE public.t__stg_7 (id bigint, name varchar(200))")
        writer.write(("public", "t__stg_7"), [rows])
        assert writer.publish(("public", "t__stg_7"), T, "upsert", ["id"]).rows == 2
    names = dict(zip(*whole(shift).select(["id", "name"]).to_pydict().values(), strict=True))
    assert (names[2], names[3], names[7]) == ("new", TEXTS[2], "newer")


@pytest.fixture
def duck(tmp_path: Path) -> Connector:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' \\ ' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS m, TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) SECOND AS seen, "
            "DATE '2024-01-01' + (i % 365)::INTEGER AS day, i % 2 = 0 AS b, encode('é' || i) AS raw, "
            "TIME '12:34:56.789' AS at, {'a': i, 'b': [NULL, 1.5]} AS doc FROM range(3000) AS r(i)"
        )
    return connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))


def test_a_table_moves_there_and_back(shift: Connector, duck: Connector) -> None:
    for mode in ("create", "replace", "append"):
        request = TransferRequest(
            Source(path=("main", "s")), ("public", "moved"), mode=mode, options=TransferOptions(verify="L4")
        )
        result = run(plan(request, duck, shift))
        assert (result.verdict, result.rows_transferred) == ("pass", 3000)
        assert result.method == "COPY FROM S3 (CSV)"
    with shift.reader() as reader:
        assert reader.count(Source(path=("public", "moved"))) == 6000
    back = TransferRequest(
        Source(query="SELECT DISTINCT id, name, m, seen FROM public.moved"), ("main", "back")
    )
    assert run(plan(back, shift, duck)).verdict == "pass"
    with duck.reader() as reader:
        assert reader.fetch(
            "SELECT count(*) AS n FROM (SELECT id, name, m, seen FROM main.s EXCEPT SELECT * FROM main.back)"
        ).to_pylist() == [{"n": 0}]


def test_views_move_with_their_schema(shift: Connector, duck: Connector) -> None:
    made(shift, PLAIN)
    with shift.writer() as writer:
        writer.execute(
            "CREATE VIEW public.named AS SELECT id, upper(name) AS name FROM public.t WHERE name > 'a'"
        )
    options = TransferOptions(verify="L3")
    for source, schema, target, into in ((shift, "public", duck, "there"), (duck, "there", shift, "back")):
        views = plan_views(schema, source, target, (into,), options)
        items = requests(schema, source, (into,), options, views=views)
        results = list(run_schema(items, source, target, views=views))
        assert [(each.target_table, each.verdict) for each in results] == [
            (f"{into}.t", "pass"), (f"{into}.named", "pass"),
        ]  # fmt: skip
    assert {entry.name: entry.kind for entry in shift.tables("back")} == {"t": "table", "named": "view"}
    shift.execute("DROP SCHEMA back CASCADE")


def test_nothing_stays_in_s3_when_a_load_fails(shift: Connector, red: StandIn) -> None:
    with shift.writer() as writer:
        writer.execute("CREATE TABLE public.t (id bigint, name varchar(3))")
        too_long = pa.record_batch({"id": pa.array([1]), "name": pa.array(["four"])})
        with pytest.raises(MigrationError) as refusal:
            writer.write(T, [too_long])
        assert red.loaded and red.left() == []
        assert "sys_load_error_detail" in (refusal.value.hint or "")

        def broken() -> Iterator[pa.RecordBatch]:
            yield too_long
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            writer.write(T, broken())
        assert red.left() == []
        assert writer.count(T) == 0


def test_objects_of_a_killed_process_go_with_its_staging_table(shift: Connector, red: StandIn) -> None:
    left = [f"in/coming/bough/public/t__stg_{job}/abc/00000.parquet" for job in ("1", "12")]
    for key in left:
        red.s3.put_object(Bucket="lake", Key=key, Body=b"x")
    with shift.writer() as writer:
        writer.execute("CREATE TABLE public.t__stg_1 (id bigint)")
        assert writer.cleanup("1", "public") == (("public", "t__stg_1"),)
        assert red.left() == left[1:]  # another job's
        writer.drop(("public", "t__stg_12"))


def test_a_target_in_place_is_as_it_was_when_a_transfer_fails(
    shift: Connector, duck: Connector, red: StandIn
) -> None:
    made(shift, PLAIN)
    wrong = connect(datasource("shift", "redshift", red.options(role="read_write", access_key="AKIAWRONG")))
    request = TransferRequest(
        Source(query="SELECT id, name FROM main.s"), ("public", "t"), options=TransferOptions(recreate=True)
    )
    with pytest.raises(MigrationError) as refusal:
        run(plan(request, duck, wrong))
    shown = f"{refusal.value.message} {refusal.value.detail} {refusal.value.hint}"
    assert "not allowed: COPY" in shown
    assert "the s3 secret" not in shown and "AKIAWRONG" not in shown and "the db secret" not in shown
    assert whole(shift).num_rows == 6
    assert [entry.name for entry in shift.tables("public")] == ["t"]


def test_a_bucket_that_is_not_there_is_an_error_without_secrets(shift: Connector, red: StandIn) -> None:
    made(shift, PLAIN)
    options = red.options(role="read_write", s3_staging="s3://nowhere")
    with (
        connect(datasource("shift", "redshift", options)).writer() as writer,
        pytest.raises(MigrationError) as no,
    ):
        writer.write(T, [PLAIN])
    assert "NoSuchBucket" in no.value.message
    assert "the s3 secret" not in f"{no.value.message} {no.value.detail}"


def test_a_role_or_keys(red: StandIn) -> None:
    def clause(**more: str) -> str:
        options = {**red.options(role="read_write"), **more}
        return connect(datasource("shift", "redshift", options)).authorization()  # type: ignore[attr-defined,no-any-return]

    assert (
        clause(iam_role="arn:aws:iam::1:role/r") == "IAM_ROLE 'arn:aws:iam::1:role/r' REGION AS 'us-east-1'"
    )
    assert clause(iam_role="default").startswith("IAM_ROLE default ")
    assert clause(session_token="tok en").endswith("SESSION_TOKEN 'tok en' REGION AS 'us-east-1'")
    item = datasource("shift", "redshift", red.options(aws_session_token="tok en"))
    assert item.shown()["secret_key"] == item.shown()["session_token"] == item.shown()["access_key"] == MASK


@pytest.mark.parametrize(
    ("without", "sqlstate", "hint"),
    [(["s3_staging"], "0A000", "s3_staging 's3://"), (["access_key", "secret_key"], "HV00J", "iam_role")],
)
def test_what_is_missing_for_writing_is_named(
    red: StandIn,
    duck: Connector,
    without: list[str],
    sqlstate: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # the server may have keys, Redshift has not
        monkeypatch.setenv(name, "of the machine")
    options = {name: text for name, text in red.options(role="read_write").items() if name not in without}
    connector = connect(datasource("shift", "redshift", options))
    with pytest.raises(MigrationError) as refusal:
        run(plan(TransferRequest(Source(path=("main", "s")), ("public", "n")), duck, connector))
    assert (refusal.value.sqlstate, hint in (refusal.value.hint or "")) == (sqlstate, True)
    assert connector.tables("public") == [] or all(entry.name != "n" for entry in connector.tables("public"))


def test_a_running_statement_can_be_interrupted(shift: Connector) -> None:
    done = threading.Event()

    def keep_interrupting() -> None:
        while not done.wait(0.05):
            shift.interrupt()

    with shift.reader() as reader:
        thread = threading.Thread(target=keep_interrupting)
        thread.start()
        try:
            with pytest.raises(MigrationError) as refusal:
                reader.rows("SELECT pg_sleep(600)")  # type: ignore[attr-defined]
        finally:
            done.set()
            thread.join()
    assert refusal.value.sqlstate == "57014"


def test_a_dry_run_takes_ddl_back(shift: Connector) -> None:
    statement = (
        "CREATE TABLE public.n (id bigint ENCODE az64, v varchar(9)) DISTKEY (id) COMPOUND SORTKEY (id, v)"
    )
    assert check_statement(statement, "redshift") == "ddl"
    assert shift.execute("CREATE TABLE public.n (id bigint) DISTSTYLE ALL", dry_run=True).committed is False
    assert shift.tables("public") == []
    with pytest.raises(MigrationError) as refusal:
        check_statement("CREATE TABLE n (id bigint) DISTSTYLE AUTO; DROP TABLE t", "redshift")
    assert refusal.value.sqlstate == "42601"


@pytest.mark.parametrize(
    ("default", "identity"),
    [
        ("\"identity\"(100, 0, '1,1'::text)", "always"),
        ("default_identity(100, 0, '1,1'::text)", "default"),
        ("pg_catalog.\"identity\"(100, 0, '1,1'::text)", "always"),
        ("'identity'::character varying", ""),
        (None, ""),
    ],
)
def test_generated_numbers_stand_as_a_default(default: str | None, identity: str) -> None:
    found = column("id", "bigint", "t", default, None)
    assert (found.identity, found.default) == (identity, None if identity else default)


def test_csv_tells_null_from_an_empty_text() -> None:
    batch = pa.record_batch({"a": pa.array([None, 1]), "b": pa.array(['x"y\n', ""])})
    assert csv_bytes([batch], "nil") == b'nil,"x""y\n"\n"1",""\n'
