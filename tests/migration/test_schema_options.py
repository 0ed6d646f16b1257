"""Options of a whole schema are each table's own, tables can stay behind, and rows that refer to rows of their own
table come in any order and in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from servers import Server
from targets import SCHEMAS, marked, opened_target

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.schema.transfer import requests, run_schema
from migration.schema.views import plan_views
from migration.transfer_model import TransferOptions, TransferResult
from migration.types import unknown

COUNT = 40


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    (tmp_path / "source.sqlite").touch()
    options = {"path": str(tmp_path / "source.sqlite"), "role": "read_write"}
    with closing(connect(datasource("source", "sqlite", options))) as found:
        for statement in (
            "CREATE TABLE branches_of (id INTEGER PRIMARY KEY, up INTEGER REFERENCES branches_of (id))",
            'CREATE TABLE "Big prices" (id INTEGER PRIMARY KEY, price NUMERIC(9,2), "no te" TEXT, '
            "at INTEGER REFERENCES branches_of (id))",
            "CREATE TABLE labels (id INTEGER PRIMARY KEY, price TEXT)",
            # Each row refers to the one behind it: no order of pieces has parents first.
            "INSERT INTO branches_of WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {COUNT}) SELECT i, CASE WHEN i < {COUNT} THEN i + 1 END FROM n",
            "INSERT INTO \"Big prices\" VALUES (1, 9.5, 'x', 2)",
            "INSERT INTO labels VALUES (1, 'a')",
        ):
            found.execute(statement)
        yield found


def moved(source: Connector, target: Connector, into: str, **how: object) -> dict[str, TransferResult]:
    options = TransferOptions(**how)  # type: ignore[arg-type]
    views = plan_views("main", source, target, (into,), options)
    items = requests("main", source, (into,), options, views=views, target_name=target.name)
    found = run_schema(items, source, target, views=views)
    return {result.target_table.removeprefix(f"{into}."): result for result in found}


@pytest.mark.parametrize("engine", marked("sqlite", "postgres", "mariadb"))
def test_a_new_table_that_refers_to_itself_takes_rows_in_any_order_and_in_pieces(
    engine: str, source: Connector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with closing(opened_target(engine, tmp_path, request)) as target:
        into = SCHEMAS[engine]
        target.execute("DROP TABLE IF EXISTS branches_of")
        for ranges in (0, 10):
            moved(source, target, into, batch_rows=7, range_rows=ranges, skip_tables=("Big prices", "labels"))
            keys = target.describe((into, "branches_of")).spec.keys
            foreign = [key for key in keys if key.kind == "foreign"]
            assert [(key.columns, key.ref_table[-1]) for key in foreign] == [(("up",), "branches_of")]
            with target.reader() as reader:
                assert reader.fetch("SELECT count(up) AS n FROM branches_of").to_pylist() == [
                    {"n": COUNT - 1}
                ]
            target.execute("DROP TABLE branches_of")


@pytest.mark.parametrize("engine", marked("sqlite", "postgres", "mariadb"))
def test_a_row_that_refers_to_none_is_refused(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "source.sqlite").touch()
    options = {"path": str(tmp_path / "source.sqlite"), "role": "read_write"}
    with (
        closing(connect(datasource("source", "sqlite", options))) as source,
        closing(opened_target(engine, tmp_path, request)) as target,
    ):
        source.execute(
            "CREATE TABLE branches_of (id INTEGER PRIMARY KEY, up INTEGER REFERENCES branches_of (id))"
        )
        with source.writer() as writer:
            writer.execute("PRAGMA foreign_keys = OFF")
            writer.execute("INSERT INTO branches_of VALUES (1, 2), (2, 17)")
        target.execute("DROP TABLE IF EXISTS branches_of")
        with pytest.raises(MigrationError) as refusal:
            moved(source, target, SCHEMAS[engine])
        assert refusal.value.sqlstate == "23503"
        assert 'table "branches_of"' in refusal.value.message
        assert "__stg_" not in str(refusal.value) + (refusal.value.detail or "")
        with target.writer() as writer:
            assert not writer.exists((SCHEMAS[engine], "branches_of"))


@pytest.mark.postgres
def test_options_name_columns_of_any_table_or_of_one(
    source: Connector, postgres: Server, tmp_path: Path
) -> None:
    options = {**postgres.options, "role": "read_write"}
    with closing(connect(datasource("there", "postgres", options))) as target:
        target.execute("DROP SCHEMA IF EXISTS copied CASCADE")
        given = TransferOptions.from_pairs(
            [
                ("skip_tables", "branches_of"),
                ("skip", '"Big prices"."no te"'),
                ("cast", '"Big prices".price AS numeric(12,4)'),
                ("as_text", "id"),
            ]
        )
        results = moved(
            source, target, "copied", casts=given.casts, skip=given.skip, as_text=given.as_text,
            skip_tables=given.skip_tables,
        )  # fmt: skip
        assert set(results) == {"Big prices", "labels"}
        columns = target.describe(("copied", "Big prices")).spec.columns
        assert [(column.name, column.declared) for column in columns] == [
            ("id", "text"), ("price", "numeric(12,4)"), ("at", "bigint"),
        ]  # fmt: skip
        assert [column.declared for column in target.describe(("copied", "labels")).spec.columns] == [
            "text",
            "text",
        ]
        left = "foreign key (at) is left out: branches_of does not move along"
        assert left in results["Big prices"].notes
        target.execute("DROP SCHEMA copied CASCADE")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ({"skip": ("labels.note",)}, "42703", 'has a column "labels.note"'),
        ({"as_text": ("nowhere",)}, "42703", 'has a column "nowhere"'),
        ({"skip": ("labels.id",), "skip_tables": ("labels",)}, "42703", 'has a column "labels.id"'),
        ({"skip_tables": ("nowhere",)}, "22023", "names no table: nowhere"),
        ({"skip_tables": ("labels", "Big prices", "branches_of")}, "22023", "leaves no table"),
    ],
)
def test_names_that_fit_nothing_are_refused(
    how: dict[str, tuple[str, ...]], code: str, said: str, source: Connector, tmp_path: Path
) -> None:
    (tmp_path / "target.sqlite").touch()
    options = {"path": str(tmp_path / "target.sqlite"), "role": "read_write"}
    with closing(connect(datasource("there", "sqlite", options))) as target:
        with pytest.raises(MigrationError) as refusal:
            moved(source, target, "main", **how)
        assert refusal.value.sqlstate == code and said in refusal.value.message
        assert target.tables("main") == []


def test_a_view_over_what_stays_behind_is_refused_before_a_table_moves(
    source: Connector, tmp_path: Path
) -> None:
    (tmp_path / "target.sqlite").touch()
    options = {"path": str(tmp_path / "target.sqlite"), "role": "read_write"}
    source.execute("CREATE VIEW cheap AS SELECT price FROM labels")
    with closing(connect(datasource("there", "sqlite", options))) as target:
        for how in ({"skip_tables": ("labels",)}, {"skip": ("labels.price",)}):
            with pytest.raises(MigrationError) as refusal:
                moved(source, target, "main", **how)
            assert refusal.value.sqlstate == "0A000" and "cheap" in refusal.value.message
            assert target.tables("main") == []


def test_the_options_of_a_schema_survive_the_journal() -> None:
    given = TransferOptions.from_pairs([("skip_tables", 'a, "b c"'), ("skip", 't."x,y", "a ""b"".c", d.e')])
    assert given.skip_tables == ("a", "b c")
    assert given.skip == ("t.x,y", 'a "b".c', "d.e")


@pytest.mark.parametrize(
    "name", ['"My schema".mood', 'shop."My Type"', '"a b"."c ""d"""', 'a."b".c', '"A".b(3)']
)
def test_a_type_of_another_schema_has_a_name_in_quotes(name: str) -> None:
    assert parse_type(name) == unknown(name.removesuffix("(3)") if "(" in name else name)
