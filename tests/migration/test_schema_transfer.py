"""Whole schemas: into a schema that is made, with references to the tables that moved along, indexes, and generated
numbers that go on behind the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.schema.transfer import requests, run_schema
from migration.transfer_model import TransferOptions, TransferResult


@pytest.fixture
def shop(postgres: Server) -> Iterator[Connector]:
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
    options |= {"database": postgres.database, "role": "read_write"}
    with closing(connect(datasource("shop", "postgres", options))) as pg:
        for name in ("shop", "copied", "elsewhere"):
            pg.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            pg.execute(f"CREATE SCHEMA {name}") if name != "copied" else None
        for statement in (
            "CREATE TABLE elsewhere.regions (id int PRIMARY KEY)",
            "CREATE TABLE shop.customers (id bigserial PRIMARY KEY,"
            " name character varying(20) DEFAULT 'nobody' NOT NULL, region int REFERENCES elsewhere.regions (id))",
            "CREATE TABLE shop.bills (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " customer bigint REFERENCES shop.customers (id) ON DELETE CASCADE, total numeric(9,2))",
            "CREATE INDEX by_total ON shop.bills (total, customer)",
            "INSERT INTO shop.customers (name) VALUES ('Ada'), ('Bob')",
            "INSERT INTO shop.bills (customer, total) VALUES (1, 9.99), (2, 1)",
        ):
            pg.execute(statement)
        yield pg
        for name in ("shop", "copied", "elsewhere"):
            pg.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def moved(source: Connector, schema: str, target: Connector, into: str) -> dict[str, TransferResult]:
    items = requests(schema, source, (into,), TransferOptions(), target_name=target.name)
    return {result.target_table: result for result in run_schema(items, source, target)}


@pytest.mark.postgres
def test_a_schema_is_made_and_keeps_its_references_indexes_and_numbers(shop: Connector) -> None:
    results = moved(shop, "shop", shop, "copied")
    assert list(results) == ["copied.customers", "copied.bills"]
    notes = results["copied.customers"].notes
    assert any("elsewhere.regions is in another schema" in note for note in notes)
    assert 'column "id" counts on from 3' in notes
    keys = shop.describe(("copied", "bills")).spec.keys
    foreign = next(key for key in keys if key.kind == "foreign")
    assert (foreign.ref_table, foreign.on_delete) == (("copied", "customers"), "CASCADE")
    assert ("by_total", ("total", "customer")) in [
        (key.name, key.columns) for key in keys if key.kind == "index"
    ]
    assert {key.name for key in keys} >= {"bills_pkey", "bills_customer_fkey"}
    with shop.reader() as reader:
        left = (
            "SELECT count(*) AS n FROM pg_class WHERE relname LIKE '%__stg_%' "
            "AND relnamespace = 'copied'::regnamespace"
        )
        assert reader.fetch(left).to_pylist() == [{"n": 0}]
    shop.execute("INSERT INTO copied.customers (name) VALUES ('Cy')")
    shop.execute("INSERT INTO copied.bills (customer, total) VALUES (3, 5)")
    with shop.reader() as reader:
        assert reader.fetch("SELECT max(id) AS m FROM copied.bills").to_pylist() == [{"m": 3}]


@pytest.mark.postgres
def test_a_table_in_a_circle_loses_no_more_than_the_circle(shop: Connector) -> None:
    for statement in (
        "CREATE TABLE shop.teams (id int PRIMARY KEY, lead int, above int REFERENCES shop.teams (id),"
        " customer bigint REFERENCES shop.customers (id))",
        "CREATE TABLE shop.people (id int PRIMARY KEY, team int REFERENCES shop.teams (id))",
        "ALTER TABLE shop.teams ADD FOREIGN KEY (lead) REFERENCES shop.people (id)",
        "INSERT INTO shop.teams VALUES (2, NULL, 1, 1), (1, NULL, NULL, 2)",
        "INSERT INTO shop.people VALUES (1, 2)",
        "UPDATE shop.teams SET lead = 1",
    ):
        shop.execute(statement)
    results = moved(shop, "shop", shop, "copied")
    notes = [note for result in results.values() for note in result.notes if "circle" in note]
    assert sorted(notes) == [
        "foreign key (lead) is left out: shop.people refers back, in a circle",
        "foreign key (team) is left out: shop.teams refers back, in a circle",
    ]
    keys = shop.describe(("copied", "teams")).spec.keys
    assert {key.columns: key.ref_table[-1] for key in keys if key.kind == "foreign"} == {
        ("above",): "teams",
        ("customer",): "customers",
    }


@pytest.mark.postgres
def test_numbers_go_on_behind_rows_that_came_later(shop: Connector) -> None:
    moved(shop, "shop", shop, "copied")
    shop.execute("INSERT INTO shop.customers (id, name) VALUES (70, 'Dan')")
    again = moved(shop, "shop", shop, "copied")
    assert again["copied.customers"].target_table_created is False
    assert 'column "id" counts on from 71' in again["copied.customers"].notes
    shop.execute("INSERT INTO copied.customers (name) VALUES ('Eve')")
    third = moved(shop, "shop", shop, "copied")["copied.customers"]
    assert not any("counts on" in note for note in third.notes)  # a sequence only goes forward


@pytest.mark.postgres
def test_a_schema_goes_into_duckdb_and_sqlite(shop: Connector, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    options = {"path": str(tmp_path / "a.duckdb"), "role": "read_write"}
    with closing(connect(datasource("duck", "duckdb", options))) as duck:
        results = moved(shop, "shop", duck, "copied")
        assert "index (total, customer) made as by_total" in results["copied.bills"].notes
        keys = duck.describe(("copied", "bills")).spec.keys
        assert [key.ref_table[-1] for key in keys if key.kind == "foreign"] == ["customers"]
        assert [key.columns for key in keys if key.kind == "index"] == [("total", "customer")]
    (tmp_path / "a.sqlite").touch()
    options = {"path": str(tmp_path / "a.sqlite"), "role": "read_write"}
    with closing(connect(datasource("lite", "sqlite", options))) as lite:
        moved(shop, "shop", lite, "main")
        keys = lite.describe(("bills",)).spec.keys
        assert {key.kind for key in keys} == {"primary", "foreign", "index"}


@pytest.mark.postgres
def test_an_index_of_what_a_foreign_key_has_is_made_where_the_key_brings_none(
    shop: Connector, tmp_path: Path
) -> None:
    shop.execute("CREATE INDEX by_customer ON shop.bills (customer)")
    (tmp_path / "b.sqlite").touch()
    lite = connect(datasource("lite", "sqlite", {"path": str(tmp_path / "b.sqlite"), "role": "read_write"}))
    for target, schema in ((shop, "copied"), (lite, "main")):
        results = moved(shop, "shop", target, schema)
        assert "index (customer) made as by_customer" in results[f"{schema}.bills"].notes
        keys = target.describe((schema, "bills")).spec.keys
        assert {("foreign", ("customer",)), ("index", ("customer",))} <= {
            (key.kind, key.columns) for key in keys
        }
    lite.close()
    with closing(made(tmp_path)) as duck:
        notes = moved(shop, "shop", duck, "copied")["copied.bills"].notes
        assert not [note for note in notes if note.startswith("index (customer)")]


@pytest.mark.postgres
def test_an_index_that_cannot_be_made_is_a_note(shop: Connector) -> None:
    shop.execute("CREATE SCHEMA copied")
    shop.execute("CREATE TABLE copied.other (a int, b int)")
    for name in ("by_total", "bills_total_customer_idx"):
        shop.execute(f"CREATE INDEX {name} ON copied.other (a, b)")
    notes = moved(shop, "shop", shop, "copied")["copied.bills"].notes
    assert any(note.startswith("index (total, customer) is not made") for note in notes)


@pytest.mark.postgres
def test_a_read_only_target_gets_no_schema(shop: Connector, postgres: Server) -> None:
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
    reader = connect(datasource("reader", "postgres", {**options, "database": postgres.database}))
    with closing(reader), pytest.raises(MigrationError) as caught:
        moved(shop, "shop", reader, "copied")
    assert caught.value.sqlstate == "25006"
    assert "copied" not in shop.schemas()


def test_a_partial_unique_index_of_sqlite_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").touch()
    with closing(
        connect(datasource("lite", "sqlite", {"path": str(tmp_path / "a.sqlite"), "role": "read_write"}))
    ) as lite:
        lite.execute("CREATE TABLE t (a integer, b integer)")
        lite.execute("CREATE UNIQUE INDEX some ON t (a) WHERE b > 0")
        lite.execute("CREATE UNIQUE INDEX whole ON t (b)")
        lite.execute("INSERT INTO t VALUES (1, 0), (1, NULL)")
        keys = lite.describe(("t",)).spec.keys
    assert [(key.kind, key.columns) for key in keys] == [("unique", ("b",))]


INDEXES = {
    "few": ("CREATE UNIQUE INDEX few ON shop.customers (name) WHERE region > 3", "partial"),
    "folded": ("CREATE INDEX folded ON shop.customers (lower(name), region)", "expression"),
    "hashed": ("CREATE INDEX hashed ON shop.customers USING hash (name)", "hash"),
    "newest": ("CREATE INDEX newest ON shop.bills (id DESC) INCLUDE (total)", "special order"),
}


@pytest.mark.postgres
def test_indexes_of_every_kind_move_within_the_family(shop: Connector, tmp_path: Path) -> None:
    for statement, _ in INDEXES.values():
        shop.execute(statement)
    results = moved(shop, "shop", shop, "copied")
    notes = [note for result in results.values() for note in result.notes]
    for name, (_, what) in INDEXES.items():
        label = f"{'unique ' if name == 'few' else ''}index {name} ({what}) made"
        assert label in notes
    with shop.reader() as reader:
        text = "SELECT replace(indexdef, '{}.', '') AS d FROM pg_indexes WHERE schemaname = '{}' ORDER BY 1"
        there = [reader.fetch(text.format(name, name)).column(0).to_pylist() for name in ("shop", "copied")]
    assert there[0] == there[1] and len(there[0]) == 7
    with closing(made(tmp_path)) as duck:
        notes = [note for result in moved(shop, "shop", duck, "copied").values() for note in result.notes]
        assert "unique index few (partial) is not made: duckdb has no text for it" in notes
        assert "index newest (special order) is not made: duckdb has no text for it" in notes
        assert [
            key.columns for key in duck.describe(("copied", "bills")).spec.keys if key.kind == "index"
        ] == [("total", "customer")]


def made(tmp_path: Path) -> Connector:
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    return connect(datasource("duck", "duckdb", {"path": str(tmp_path / "a.duckdb"), "role": "read_write"}))


@pytest.mark.postgres
def test_sequences_of_no_column_move_and_go_forward_only(shop: Connector, tmp_path: Path) -> None:
    shop.execute(
        "CREATE SEQUENCE shop.tickets AS int INCREMENT BY 5 MINVALUE 10 MAXVALUE 1000 START 100 CYCLE"
    )
    shop.execute("CREATE SEQUENCE shop.untouched")
    shop.execute("SELECT nextval('shop.tickets'), nextval('shop.tickets')")
    for _ in range(2):
        notes = moved(shop, "shop", shop, "copied")["copied.bills"].notes
        assert {"sequence tickets made, behind 105", "sequence untouched made"} <= set(notes)
        assert not any("customers_id_seq" in note for note in notes)
    with shop.reader() as reader:
        text = (
            "SELECT data_type::text AS t, start_value, min_value, max_value, increment_by, cycle, last_value "
            "FROM pg_sequences WHERE schemaname = '{}' AND sequencename = 'tickets'"
        )
        there = [reader.fetch(text.format(name)).to_pylist() for name in ("shop", "copied")]
    assert there[0] == there[1] and there[0][0]["last_value"] == 105
    shop.execute("SELECT setval('copied.tickets', 500)")
    moved(shop, "shop", shop, "copied")
    with shop.reader() as reader:
        assert reader.fetch("SELECT last_value FROM copied.tickets").to_pylist() == [{"last_value": 500}]
    with closing(made(tmp_path)) as duck:
        notes = moved(shop, "shop", duck, "copied")["copied.bills"].notes
        assert "sequence tickets is not made: duckdb gets none from here" in notes
