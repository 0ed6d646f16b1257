"""A published table has the types that its rows were verified in, or nothing is published."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, ReadColumn, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer import verify as verification
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled

TENTHS = "1.23456789"


POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
CLICKHOUSE = pytest.param("clickhouse", marks=pytest.mark.clickhouse)


@pytest.fixture
def target(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target(engine, tmp_path, request)
    yield connector
    for statement in ("DROP VIEW IF EXISTS shape_v", "DROP TABLE IF EXISTS shapes"):
        connector.execute(statement)
    connector.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, m DECIMAL(20,8))")
        connection.execute(f"INSERT INTO s VALUES (1, {TENTHS}), (2, NULL)")
    connector = connect(datasource("here", "duckdb", {"path": str(file)}))
    yield connector
    connector.close()


def make(target: Connector, engine: str, scale: int = 2) -> tuple[str, ...]:
    """A table of one row, which has no room for eight digits where ``scale`` is 2."""
    if engine == "clickhouse":
        target.execute(
            f"CREATE TABLE shapes (id Int32, m Nullable(Decimal(12, {scale}))) ENGINE = MergeTree ORDER BY id"
        )
    else:
        target.execute(f"CREATE TABLE shapes (id int NOT NULL, m decimal(12,{scale}), PRIMARY KEY (id))")
    target.execute("INSERT INTO shapes VALUES (7, 0.5)")
    return {"duckdb": ("main", "shapes"), "postgres": ("public", "shapes")}.get(engine, ("shapes",))


def moved(source: Connector, target: Connector, path: tuple[str, ...], mode: str, **options: object) -> None:
    request = TransferRequest(
        Source(path=("main", "s")),
        path,
        mode=mode,  # type: ignore[arg-type]
        key=("id",) if mode == "upsert" else (),
        options=TransferOptions(**options),  # type: ignore[arg-type]
    )
    assert run(plan(request, source, target)).verdict in ("pass", "inconclusive")


def values(target: Connector, path: tuple[str, ...]) -> list[Decimal | None]:
    with target.reader() as reader:
        found = reader.describe(Source(path=path))
        columns = [ReadColumn(column.name, column.type) for column in found]
        table = pa.Table.from_batches(list(reader.read(Source(path=path), columns, order_by=("id",))))
    return [None if value is None else Decimal(value) for value in table.column("m").to_pylist()]


@pytest.mark.parametrize("engine", ["duckdb", "sqlite", POSTGRES, MARIADB, CLICKHOUSE])
def test_recreate_takes_the_types_along(source: Connector, target: Connector, engine: str) -> None:
    path = make(target, engine)
    for mode, options in (("replace", {"recreate": True}), ("replace", {"recreate": True}), ("upsert", {})):
        moved(source, target, path, mode, **options)
        assert values(target, path) == [Decimal(TENTHS), None]


@pytest.mark.parametrize("engine", ["sqlite", POSTGRES])  # elsewhere a view follows the name
def test_recreate_refuses_where_a_view_would_be_lost(
    source: Connector, target: Connector, engine: str
) -> None:
    path = make(target, engine)
    target.execute("CREATE VIEW shape_v AS SELECT m FROM shapes")
    with pytest.raises(MigrationError) as caught:
        moved(source, target, path, "replace", recreate=True)
    assert caught.value.sqlstate == "2BP01"
    assert "view" in caught.value.message
    assert caught.value.hint
    assert values(target, path) == [Decimal("0.5")]
    with target.writer() as writer:
        assert writer.leftovers() == ()


@pytest.mark.parametrize("engine", ["sqlite", POSTGRES])  # elsewhere a view follows the name
def test_a_view_stays_where_the_shape_is_the_same(source: Connector, target: Connector, engine: str) -> None:
    path = ("public", "shapes") if engine == "postgres" else ("shapes",)
    moved(source, target, path, "create")
    target.execute("CREATE VIEW shape_v AS SELECT count(m) AS n FROM shapes")
    target.execute("DELETE FROM shapes")
    moved(source, target, path, "replace", recreate=True)
    with target.reader() as reader:
        assert reader.fetch("SELECT n FROM shape_v").to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    "engine", ["duckdb", POSTGRES, MARIADB]
)  # the others exchange whole tables, or do not type
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_a_target_altered_meanwhile_takes_no_rows(
    source: Connector, target: Connector, engine: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(target, engine, scale=8)
    with target.writer() as writer:
        kind = type(writer)
    publish = kind.publish
    verb = {"mariadb": "MODIFY m decimal(12,2)"}.get(engine, "ALTER m TYPE decimal(12,2)")

    def late(self, *given, **named):  # type: ignore[no-untyped-def]
        target.execute(f"ALTER TABLE shapes {verb}")
        return publish(self, *given, **named)

    monkeypatch.setattr(kind, "publish", late)
    with pytest.raises(MigrationError) as caught:
        moved(source, target, path, mode)
    assert caught.value.sqlstate == "40001"
    assert values(target, path) == [Decimal("0.5")]


@pytest.mark.parametrize("engine", [POSTGRES, MARIADB, CLICKHOUSE])  # the others let one session write
def test_a_target_made_while_its_name_was_taken_keeps_its_rows(
    source: Connector, target: Connector, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ("public", "shapes") if engine == "postgres" else ("shapes",)
    made = []
    with target.writer() as writer:
        kind = type(writer)
    execute = kind.execute

    def late(self, statement, *given):  # type: ignore[no-untyped-def]
        if "RENAME" in statement and not made:
            made.append(statement)
            make(target, engine, scale=8)
        return execute(self, statement, *given)

    monkeypatch.setattr(kind, "execute", late)
    with pytest.raises(MigrationError) as caught:
        moved(source, target, path, "replace")
    assert made
    assert (caught.value.sqlstate, bool(caught.value.hint)) == ("40001", True)
    assert values(target, path) == [Decimal("0.5")]
    moved(
        source, target, path, "upsert" if engine == "clickhouse" else "replace", recreate=engine == "postgres"
    )


@pytest.mark.parametrize("engine", ["duckdb", POSTGRES, MARIADB, CLICKHOUSE])
def test_a_table_can_be_replaced_by_what_is_read_from_it(target: Connector, engine: str) -> None:
    path = make(target, engine, scale=8)
    query = Source(query="SELECT id + 1 AS id, m FROM shapes")
    for source in (query, Source(path=path)):
        assert run(plan(TransferRequest(source, path), target, target)).verdict in ("pass", "inconclusive")
    assert values(target, path) == [Decimal("0.5")]


def test_a_number_among_bytes_is_refused(tmp_path: Path) -> None:
    """SQLite stores what it is given, whatever the column's type."""
    file = tmp_path / "bytes.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE b (raw BLOB)")
        connection.execute("INSERT INTO b VALUES (x'00ff'), (3)")
        connection.commit()
    connector = connect(datasource("lite", "sqlite", {"path": str(file)}))
    with connector.reader() as reader, pytest.raises(MigrationError) as caught:
        list(reader.read(Source(path=("b",))))
    connector.close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "raw")


@pytest.mark.parametrize("engine", ["duckdb", "sqlite", MARIADB, POSTGRES])
@pytest.mark.parametrize(
    ("rows", "mode", "hint"),
    [
        ("(1, NULL), (2, NULL), (2, 1)", "replace", "Select one row for each key."),
        ("(1, NULL), (2, NULL), (2, 1)", "append", "Select one row for each key."),
        ("(1, NULL), (7, NULL)", "append", "MODE upsert KEY (columns) updates rows that are there."),
    ],
)
def test_a_key_that_is_there_twice_leaves_the_target_as_it_was(
    engine: str, rows: str, mode: str, hint: str, target: Connector, tmp_path: Path
) -> None:
    path = make(target, engine)
    file = tmp_path / "twice.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE s (id INTEGER, m DECIMAL(5, 1))")
        connection.execute(f"INSERT INTO s VALUES {rows}")
    source = connect(datasource("here", "duckdb", {"path": str(file)}))
    with closing(source), pytest.raises(MigrationError) as caught:
        moved(source, target, path, mode)
    assert caught.value.sqlstate == "23505"
    assert hint in str(caught.value.hint)
    with target.writer() as writer:
        assert writer.leftovers() == ()
        assert [
            tuple(map(float, row.values())) for row in writer.fetch("SELECT * FROM shapes").to_pylist()
        ] == [(7, 0.5)]


COLUMN = "ALTER TABLE shapes ADD COLUMN x INTEGER DEFAULT 4"
INDEX = "CREATE INDEX shapes_m ON shapes (m, id)"
CHECK = "ALTER TABLE shapes ADD CONSTRAINT positive CHECK (id > 0)"


@pytest.mark.parametrize(
    ("engine", "change"),
    [
        ("duckdb", COLUMN),
        ("duckdb", INDEX),
        ("sqlite", COLUMN),
        pytest.param("mariadb", COLUMN, marks=pytest.mark.mariadb),
        pytest.param("mariadb", INDEX, marks=pytest.mark.mariadb),
        pytest.param("postgres", COLUMN, marks=pytest.mark.postgres),
        pytest.param("postgres", INDEX, marks=pytest.mark.postgres),
        pytest.param("postgres", CHECK, marks=pytest.mark.postgres),
    ],
)
def test_what_is_altered_while_rows_move_is_not_undone(
    engine: str, change: str, source: Connector, target: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = {"duckdb": ("main", "shapes"), "postgres": ("public", "shapes")}.get(engine, ("shapes",))
    target.execute("CREATE TABLE shapes (id int NOT NULL, m decimal(30,8))")
    definitions = {
        "duckdb": "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_indexes() ORDER BY 1",
        "sqlite": "SELECT sql FROM sqlite_schema ORDER BY 1",
        "mariadb": "SELECT column_name, column_default, column_key FROM information_schema.columns "
        "WHERE table_name = 'shapes' ORDER BY 1",
        "postgres": "SELECT attname::text FROM pg_attribute WHERE attrelid = 'shapes'::regclass AND attnum > 0 "
        "UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'shapes' "
        "UNION ALL SELECT conname::text FROM pg_constraint WHERE conrelid = 'shapes'::regclass ORDER BY 1",
    }
    verify, wanted = verification.verify, []

    def looked() -> list[dict[str, object]]:
        with target.writer() as writer:
            return writer.fetch(definitions[engine]).to_pylist()

    def altered(*given: object) -> object:
        target.execute(change)
        with target.writer() as writer:
            (staged,) = writer.leftovers()
        wanted.extend(row for row in looked() if staged[-1] not in str(row))
        return verify(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(verification, "verify", altered)
    moved(source, target, path, "replace")
    assert looked() == wanted
    with target.writer() as writer:
        assert writer.count(path) == 2
        assert writer.leftovers() == ()
