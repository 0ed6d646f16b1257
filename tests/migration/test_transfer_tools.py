"""The tools agents know: names, both spellings of parameters, result keys; whole schemas in order."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.schema.transfer import in_order, requests, run_schema
from migration.tools import TOOLS, Tools, split_path
from migration.transfer_model import TransferOptions
from migration.types import of


@pytest.fixture
def connectors(tmp_path: Path) -> dict[str, Connector]:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR)")
        connection.execute(
            "CREATE TABLE bills (id BIGINT PRIMARY KEY, customer BIGINT REFERENCES customers (id), total DECIMAL(9,2))"
        )
        connection.execute("INSERT INTO customers VALUES (1, 'a'), (2, 'b')")
        connection.execute("INSERT INTO bills VALUES (10, 1, 9.99)")
    found = {}
    for name in ("shop", "copy"):
        options = {"path": str(tmp_path / f"{name}.duckdb"), "role": "read_write"}
        found[name] = connect(datasource(name, "duckdb", options))
    return found


@pytest.fixture
def tools(connectors: dict[str, Connector]) -> Tools:
    def open_(name: str) -> Connector:
        if name not in connectors:
            raise MigrationError("42704", f'datasource "{name}" does not exist')
        return connectors[name]

    return Tools(open_, tuple(connectors))


@pytest.mark.parametrize("word", ["datasource", "database"])
def test_transfer_query_result_takes_both_spellings(tools: Tools, word: str) -> None:
    result = tools.call(
        "transfer_query_result",
        **{
            "source_sql": "SELECT name, count(*) AS n FROM customers GROUP BY name",
            f"source_{word}": "shop",
            f"target_{word}": "copy",
            "target_table": "main.summary",
            "mode": "replace",
            "batch_size": 1,
        },
    )
    wanted = (
        "message source_sql source_datasource target_table target_datasource mode rows_transferred "
        "target_table_created target_table_create_sql source_row_count source_row_count_verified "
        "transferred_row_count batch_size deliverable_target"
    )
    assert set(wanted.split()) <= result.keys()
    assert (result["rows_transferred"], result["verdict"]) == (2, "pass")
    assert result["deliverable_target"]["target"]["table"] == "summary"


def test_a_source_that_writes_is_refused(tools: Tools) -> None:
    for text in ("DELETE FROM customers", r"SELECT '\' AS a; DROP TABLE bills; --"):
        with pytest.raises(MigrationError):
            tools.transfer_query_result(text, "shop", "main.x", "copy")
    assert {row["name"] for row in tools.list_tables("shop")} == {"customers", "bills"}


def test_a_schema_that_is_not_there_is_no_empty_list(tools: Tools) -> None:
    with pytest.raises(MigrationError) as caught:
        tools.list_tables("shop", "nope")
    assert (caught.value.sqlstate, caught.value.hint) == ("3F000", "SHOW SCHEMAS FROM shop lists them.")
    assert {row["name"] for row in tools.list_tables("shop", "main")} == {"customers", "bills"}


def test_reading_tools(tools: Tools) -> None:
    assert [row["name"] for row in tools.list_databases()] == ["shop", "copy"]
    assert tools.list_databases()[0]["available"] is True
    described = tools.call("describe_table", table_name="bills", database="shop")
    assert [(row["name"], row["primary_key"], row["references"]) for row in described][:2] == [
        ("id", True, None),
        ("customer", False, "customers"),
    ]
    assert "CREATE TABLE" in tools.get_table_ddl("main.bills", "shop")["ddl"]
    assert "numeric(9,2)" in tools.get_table_ddl("main.bills", "shop", "postgres")["ddl"]
    read = tools.call("read_query", sql="SELECT id FROM customers ORDER BY 1", database="shop", limit=1)
    assert read == {"rows": [{"id": 1}], "row_count": 1, "truncated": True}
    with pytest.raises(MigrationError):
        tools.read_query("DELETE FROM customers", "shop")


def test_writing_tools(tools: Tools) -> None:
    assert tools.execute_ddl("CREATE TABLE t (a INTEGER)", "copy", dry_run=True)["committed"] is False
    assert tools.execute_ddl("CREATE TABLE t (a INTEGER)", "copy")["committed"] is True
    with pytest.raises(MigrationError):
        tools.execute_write("INSERT INTO t VALUES (1), (2)", "copy", max_rows=1)
    assert tools.execute_write("INSERT INTO t VALUES (1), (2)", "copy", min_rows=2)["rows_affected"] == 2


def test_contract_tools(tools: Tools) -> None:
    assert tools.call("get_migration_capabilities", database="copy")["supported"] is True
    assert tools.get_migration_capabilities("starrocks")["dialect_family"] == "mysql-like"
    assert tools.get_migration_capabilities("nobody knows")["supported"] is False
    columns = '[{"name": "id", "type": "BIGINT", "nullable": false}]'
    assert "duplicate_key" in tools.call("suggest_table_layout", database="starrocks", columns_json=columns)
    assert tools.call("validate_ddl", database="copy", ddl="CREATE TABLE t (a INTEGER)") == {
        "valid": True,
        "errors": [],
        "validated": True,
    }
    assert tools.validate_ddl("nobody knows", "CREATE TABLE t (a INTEGER)")["validated"] is False
    assert tools.validate_ddl("postgres", "DROP TABLE t")["valid"] is False


def test_unknown_tools_and_doubled_arguments_are_refused(tools: Tools) -> None:
    with pytest.raises(MigrationError, match="no tool"):
        tools.call("drop_everything")
    with pytest.raises(MigrationError, match="given twice"):
        tools.call("list_tables", database="shop", datasource="shop")
    assert all(callable(getattr(tools, name)) for name in TOOLS)


@pytest.mark.parametrize(
    ("text", "path"),
    [("a.b", ("a", "b")), ('"a.b"."c""d"', ("a.b", 'c"d')), (" a . b ", ("a", "b"))],
)
def test_paths_are_split_as_written(text: str, path: tuple[str, ...]) -> None:
    assert split_path(text) == path


@pytest.mark.parametrize("text", ["", "a.", '"a', "a..b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(MigrationError):
        split_path(text)


def test_a_schema_moves_parents_first_with_its_references(connectors: dict[str, Connector]) -> None:
    items = requests("main", connectors["shop"], ("main",), TransferOptions(), target_name="copy")
    assert [item.target[-1] for item in items] == ["customers", "bills"]
    results = list(run_schema(items, connectors["shop"], connectors["copy"]))
    assert [result.rows_transferred for result in results] == [2, 1]
    keys = connectors["copy"].describe(("main", "bills")).spec.keys
    assert any(key.kind == "foreign" and key.ref_table[-1] == "customers" for key in keys)
    with pytest.raises(MigrationError, match="does not exist"):
        requests("nowhere", connectors["shop"], ("main",), TransferOptions())


def test_what_refers_to_a_circle_comes_behind_it_and_is_in_none() -> None:
    def table(name: str, *parents: str) -> TableSpec:
        paths = [("s", *parent.split("."))[-2:] for parent in parents]
        keys = tuple(KeySpec("foreign", ("id",), ref_table=path) for path in paths)
        return TableSpec(("s", name), (ColumnSpec("id", of("int64")),), keys)

    ordered, circles = in_order(
        [
            table("c", "b", "y"),
            table("x", "y", "v"),
            table("y", "x", "z"),
            table("b", "a", "b"),
            table("a", "other.c"),
            table("z"),
            table("v", "w"),
            table("w", "v", "z"),
        ]
    )
    assert [item.name for item in ordered] == ["a", "v", "z", "b", "w", "x", "y", "c"]
    assert {name: found for name, found in circles.items() if found} == {
        "v": {"w"},
        "w": {"v"},
        "x": {"y"},
        "y": {"x"},
    }
