"""Texts that differ in case or in blanks at their end are different keys, at the source and in a new table."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.ddl.validation import errors, read, render
from migration.dialects import contract
from migration.dialects.quoting import quote_path
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest
from migration.types import text

pytestmark = pytest.mark.sampled

KEYS = ["a", "a ", "a  ", "A", "ä", "Ä", "ae", "", " ", "ß", "ss", "a\t", "e\u0301", "\u00e9"]


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("postgres", marks=pytest.mark.postgres),
        "sqlite",
        "duckdb",
    ],
)
def test_texts_that_differ_by_a_blank_are_different_keys(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE keyed (k VARCHAR PRIMARY KEY, v VARCHAR UNIQUE)")
        session.executemany("INSERT INTO keyed VALUES (?, ?)", [(key, key) for key in KEYS])
    options = TransferOptions(verify="L4")
    with (
        closing(connect(datasource("here", "duckdb", {"path": str(file), "role": "read_write"}))) as here,
        closing(opened_target(engine, tmp_path, request)) as there,
    ):
        place = ("keyed_texts",)
        with there.writer() as writer:
            writer.drop(place)
        for mode, key in (("replace", ()), ("upsert", ("k",))):
            asked = TransferRequest(Source(path=("main", "keyed")), place, mode, key, options=options)  # type: ignore[arg-type]
            assert run(plan(asked, here, there)).verdict == "pass"
        with there.reader() as reader:
            found = reader.fetch(f"SELECT k FROM {quote_path(place, contract(there.dialect))}")[
                "k"
            ].to_pylist()
        assert sorted(found) == sorted(KEYS)
        back = TransferRequest(Source(path=place), ("main", "back"), options=options)
        assert run(plan(back, there, here)).verdict == "pass"
        with there.writer() as writer:
            assert any(column.type.kind == "text" for column in writer.describe(place).columns)
            writer.drop(place)


@pytest.mark.parametrize(
    ("version", "collation"),
    [
        ("10.11.14", "utf8mb4_nopad_bin"),
        ("11.4.2", "utf8mb4_nopad_bin"),
        ("10.1.48", "utf8mb4_bin"),
        ("8.4.0", "utf8mb4_0900_bin"),
        ("8.0.17", "utf8mb4_0900_bin"),
        ("8.0.11", "utf8mb4_bin"),
        ("5.7.44", "utf8mb4_bin"),
        (None, "utf8mb4_bin"),
    ],
)
def test_the_collation_is_one_that_the_server_has(version: str | None, collation: str) -> None:
    table = TableSpec(
        ("t",), (ColumnSpec("k", text(10), nullable=False),), (KeySpec("primary", ("k",)),), dialect="duckdb"
    )
    sql = render(table, "mysql", version=version).sql
    assert sql.endswith(f"DEFAULT CHARSET = utf8mb4 COLLATE = {collation}")
    assert errors(sql, "mysql", version) == []
    assert parse_type(read(sql, "mysql").columns[0].type_text, "mysql") == text(10)


FOLDED = [
    pytest.param("mariadb", "varchar(9) COLLATE utf8mb4_general_ci", marks=pytest.mark.mariadb),
    pytest.param(
        "mariadb", "varchar(9) COLLATE utf8mb4_bin", marks=pytest.mark.mariadb
    ),  # which pads with blanks
    ("sqlite", "TEXT COLLATE NOCASE"),
    pytest.param("postgres", "text COLLATE folded_texts", marks=pytest.mark.postgres),
]


@pytest.mark.parametrize(("engine", "type_"), FOLDED)
def test_a_key_that_is_only_equal_to_the_collation_is_another(
    engine: str, type_: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The row would be updated and keep the key it has, which is not the source's."""
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE keyed AS SELECT 'same' AS k, 2 AS v UNION ALL VALUES ('new', 2)")
        other = "UPPER('folded')" if "_bin" not in type_ else "'folded '"
        session.execute(f"CREATE TABLE folded AS FROM keyed UNION ALL SELECT {other}, 2")
    place = ("folded_texts",)
    with (
        closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as here,
        closing(opened_target(engine, tmp_path, request)) as there,
    ):
        with there.writer() as writer:
            writer.drop(place)
            if engine == "postgres":
                writer.execute(
                    "CREATE COLLATION IF NOT EXISTS folded_texts "
                    "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
                )
            writer.execute(f"CREATE TABLE folded_texts (k {type_} PRIMARY KEY, v INTEGER)")
            writer.execute("INSERT INTO folded_texts VALUES ('same', 1), ('folded', 1)")
        asked = TransferRequest(Source(path=("main", "folded")), place, "upsert", ("k",))
        with pytest.raises(MigrationError) as refusal:
            run(plan(asked, here, there))
        assert refusal.value.sqlstate == "23505"
        assert texts(there) == [("folded", 1), ("same", 1)]
        assert run(plan(replace(asked, source=Source(path=("main", "keyed"))), here, there)).verdict == "pass"
        assert texts(there) == [("folded", 1), ("new", 2), ("same", 2)]
        with there.writer() as writer:
            writer.drop(place)


def texts(connector: Connector) -> list[tuple[str, int]]:
    with connector.reader() as reader:
        return sorted(
            tuple(row.values()) for row in reader.fetch("SELECT k, v FROM folded_texts").to_pylist()
        )


@pytest.mark.mariadb
def test_a_table_that_is_merged_by_key_holds_the_keys_of_the_source(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE keyed AS SELECT 'A' AS k, 2 AS v UNION ALL VALUES ('kept', 2)")
    with (
        closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as here,
        closing(opened_target("mariadb", tmp_path, request)) as there,
    ):
        with there.writer() as writer:
            for name in ("folded_children", "folded_texts"):
                writer.drop((name,))
            folded = "varchar(9) COLLATE utf8mb4_general_ci"
            writer.execute(f"CREATE TABLE folded_texts (k {folded} PRIMARY KEY, v INTEGER)")
            writer.execute("INSERT INTO folded_texts VALUES ('a', 1), ('kept', 1)")
            writer.execute(
                f"CREATE TABLE folded_children (k {folded}, FOREIGN KEY (k) REFERENCES folded_texts (k))"
            )
            writer.execute("INSERT INTO folded_children VALUES ('kept')")
        asked = TransferRequest(Source(path=("main", "keyed")), ("folded_texts",))
        result = run(plan(asked, here, there))
        assert "published by merge by key" in result.notes
        assert texts(there) == [("A", 2), ("kept", 2)]
        with there.writer() as writer:
            writer.drop(("folded_children",))
            writer.drop(("folded_texts",))


def test_a_collation_of_duckdb_changes_nothing_that_is_measured_or_kept(tmp_path: Path) -> None:
    """It goes along with a text through functions, so extremes, groups and equality are of bytes only if asked for."""
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE folded (k VARCHAR COLLATE NOCASE, v INTEGER)")
        session.execute("INSERT INTO folded VALUES ('B', 1), ('a', 2), ('A', 3), ('b', 4)")
        session.execute("CREATE TABLE folded_texts (k VARCHAR COLLATE NOCASE, v INTEGER)")
        session.execute("INSERT INTO folded_texts VALUES ('a', 7), ('c', 7)")
        session.execute("CREATE TABLE plain (k VARCHAR, v INTEGER)")
        session.execute("INSERT INTO plain FROM folded")
    with closing(connect(datasource("here", "duckdb", {"path": str(file), "role": "read_write"}))) as here:
        place = ("main", "folded_texts")
        asked = TransferRequest(Source(path=("main", "folded")), place, "upsert", ("k",))
        asked = replace(asked, options=TransferOptions(verify="L4"))
        assert run(plan(asked, here, here)).verdict == "pass"
        assert texts(here) == [("A", 3), ("B", 1), ("a", 2), ("b", 4), ("c", 7)]
        assert run(plan(replace(asked, mode="replace", key=()), here, here)).verdict == "pass"
        assert texts(here) == [("A", 3), ("B", 1), ("a", 2), ("b", 4)]
        assert "COLLATE" in str(here.definition(place)).upper()
        left, right = Side(here, Source(path=("main", "folded"))), Side(here, Source(path=("main", "plain")))
        for keyed in (("k",), ()):
            assert reconcile(left, right, key=keyed, checks=("all",)).verdict == "pass"
