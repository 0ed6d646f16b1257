"""Views of a schema that moves: said in the target's words, proven by their rows, or refused by name."""

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
from migration.schema.transfer import explain_schema, requests, run_schema
from migration.schema.views import plan_views
from migration.transfer_model import TransferOptions, TransferRequest, TransferResult

pytestmark = pytest.mark.sampled

TABLES = (
    "CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(20), born date)",
    "CREATE TABLE bills (id bigint PRIMARY KEY, customer bigint, total numeric(9,2), pieces int)",
    "INSERT INTO customers VALUES (1, 'Ada', '1815-12-10'), (2, 'Bob', NULL), (3, 'Cy', '2001-01-01')",
    "INSERT INTO bills VALUES (1, 1, 9.99, 3), (2, 2, 1, 2), (3, 1, 0.01, 7)",
)
VIEWS = (
    # by name before what it reads: the order is that of reading, not of the alphabet
    "CREATE VIEW a_rich AS SELECT name FROM spending WHERE total > 5",
    "CREATE VIEW born AS SELECT id, extract(year FROM born) AS year FROM customers WHERE born IS NOT NULL",
    "CREATE VIEW both_kinds (kind, id) AS SELECT 'c', id FROM customers UNION ALL SELECT 'b', id FROM bills",
    "CREATE VIEW everything AS SELECT * FROM bills",
    "CREATE VIEW spending AS WITH sums AS (SELECT customer, sum(total) AS total FROM bills GROUP BY customer) "
    "SELECT c.name, s.total, coalesce(c.name || ':', '') AS label "
    "FROM customers AS c JOIN sums AS s ON s.customer = c.id",
)


def made_duckdb(path: Path, *statements: str) -> Connector:
    with duckdb.connect(str(path)) as session:
        for statement in statements:
            session.execute(statement)
    return connect(datasource(path.stem, "duckdb", {"path": str(path), "role": "read_write"}))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Connector]:
    statements = [*TABLES, VIEWS[4], *VIEWS[:4]]
    with closing(made_duckdb(tmp_path / "shop.duckdb", *statements)) as found:
        yield found


@pytest.fixture
def pg(postgres: Server) -> Iterator[Connector]:
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
    options |= {"database": postgres.database, "role": "read_write"}
    with closing(connect(datasource("pg", "postgres", options))) as found:
        for name in ("shop", "copied", "elsewhere"):
            found.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        yield found
        for name in ("shop", "copied", "elsewhere"):
            found.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def moved(
    source: Connector, schema: str, target: Connector, into: str, **how: object
) -> dict[str, TransferResult]:
    options = TransferOptions(**how)  # type: ignore[arg-type]
    views = plan_views(schema, source, target, (into,), options)
    items = requests(schema, source, (into,), options, views=views, target_name=target.name)
    found = run_schema(items, source, target, views=views)
    return {result.target_table.removeprefix(f"{into}."): result for result in found}


def content(connector: Connector, query: str) -> list[tuple[object, ...]]:
    with connector.reader() as reader:
        return sorted(tuple(map(str, row.values())) for row in reader.fetch(query).to_pylist())


def kinds(connector: Connector, schema: str) -> dict[str, str]:
    return {entry.name: entry.kind for entry in connector.tables(schema)}


@pytest.mark.postgres
def test_views_of_duckdb_are_views_in_postgres(shop: Connector, pg: Connector) -> None:
    for _ in range(2):  # the second time all of it is replaced
        results = moved(shop, "main", pg, "copied", verify="L4")
        names = list(results)
        assert names[:2] == ["bills", "customers"]
        assert names.index("spending") < names.index("a_rich")
        assert {results[name].verdict for name in names} == {"pass"}
        assert results["spending"].method == "CREATE VIEW"
        assert "fingerprint" in {check.check for check in results["spending"].checks}
    assert kinds(pg, "copied")["everything"] == "view"
    for name in ("a_rich", "born", "both_kinds", "everything", "spending"):
        assert content(pg, f"SELECT * FROM copied.{name}") == content(shop, f"SELECT * FROM main.{name}")
    with pg.reader() as reader:
        assert reader.fetch("SELECT * FROM copied.both_kinds").column_names == ["kind", "id"]


@pytest.mark.postgres
def test_views_of_postgres_are_views_in_duckdb_sqlite_and_postgres(
    pg: Connector, shop: Connector, tmp_path: Path
) -> None:
    moved(shop, "main", pg, "shop")
    with closing(made_duckdb(tmp_path / "copy.duckdb")) as duck:
        results = moved(pg, "shop", duck, "copied")
        assert content(duck, "SELECT * FROM copied.spending") == content(pg, "SELECT * FROM shop.spending")
        assert results["spending"].target_table_create_sql.startswith('CREATE VIEW "copied"."spending" AS ')
    (tmp_path / "copy.sqlite").touch()
    options = {"path": str(tmp_path / "copy.sqlite"), "role": "read_write"}
    with closing(connect(datasource("lite", "sqlite", options))) as lite:
        moved(pg, "shop", lite, "main", views_as_tables=("spending", "born"))
        assert kinds(lite, "main")["a_rich"] == "view"
        assert content(lite, "SELECT name FROM a_rich") == [("Ada",)]
    moved(pg, "shop", pg, "copied", verify="L3")
    assert kinds(pg, "copied")["a_rich"] == "view"
    pg.execute("INSERT INTO copied.bills VALUES (4, 3, 100, 1)")  # they read the tables that moved along
    assert content(pg, "SELECT name FROM copied.a_rich") == [("Ada",), ("Cy",)]
    assert content(pg, "SELECT name FROM shop.a_rich") == [("Ada",)]


@pytest.mark.mariadb
def test_views_of_mariadb_move_and_are_replaced_one_by_one(
    mariadb: Server, tmp_path: Path, shop: Connector
) -> None:
    options = {
        "host": mariadb.host, "port": str(mariadb.port), "user": mariadb.user, "password": mariadb.password,
        "database": mariadb.database, "role": "read_write",
    }  # fmt: skip
    with closing(connect(datasource("maria", "mysql", options))) as maria:
        maria.execute("DROP DATABASE IF EXISTS views_of_shop")
        for _ in range(2):
            results = moved(shop, "main", maria, "views_of_shop", skip_views=("spending", "a_rich"))
        assert results["everything"].target_table_create_sql.startswith("CREATE OR REPLACE VIEW")
        with closing(made_duckdb(tmp_path / "from_maria.duckdb")) as duck:
            moved(maria, "views_of_shop", duck, "back")
            assert content(duck, "SELECT * FROM back.born") == content(shop, "SELECT * FROM main.born")
        maria.execute("DROP DATABASE views_of_shop")


def test_names_are_spelled_as_the_tables_spell_them(tmp_path: Path) -> None:
    statements = (
        'CREATE TABLE "Sales" ("Year" int, "Amount EUR" decimal(9,2))',
        'INSERT INTO "Sales" VALUES (2024, 1.5), (2025, 2)',
        'CREATE VIEW Best AS SELECT year, max("AMOUNT eur") AS most FROM sales GROUP BY YEAR ORDER BY most',
    )
    with closing(made_duckdb(tmp_path / "a.duckdb", *statements)) as source:
        text = plan_views("main", source, source, ("copied",), TransferOptions()).plans[0].query
    assert '"Year"' in text and '"Amount EUR"' in text and '"copied"."Sales"' in text
    with (
        closing(made_duckdb(tmp_path / "b.duckdb")) as target,
        closing(made_duckdb(tmp_path / "a.duckdb")) as source,
    ):
        moved(source, "main", target, "copied")
        assert content(target, "SELECT * FROM copied.Best") == [("2024", "1.50"), ("2025", "2.00")]


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        ("SELECT * FROM other.t", "reads other.t, which does not move along"),
        ("SELECT * FROM range(3) AS r(i)", "is no table"),
        ("SELECT jaccard(name, 'xy') AS n FROM customers", "calls jaccard"),
    ],
)
@pytest.mark.postgres
def test_what_cannot_be_said_is_refused_before_a_table_moves(
    tmp_path: Path, pg: Connector, view: str, reason: str
) -> None:
    statements = (
        *TABLES,
        "CREATE SCHEMA other",
        "CREATE TABLE other.t (a int)",
        f"CREATE VIEW odd AS {view}",
        "CREATE VIEW fine AS SELECT 1 AS one",
    )
    with closing(made_duckdb(tmp_path / "a.duckdb", *statements)) as source:
        with pytest.raises(MigrationError) as refusal:
            moved(source, "main", pg, "copied")
        error = refusal.value
        assert error.sqlstate == "0A000"
        assert "1 of the views" in error.message and "odd" in error.message and "fine" not in error.message
        assert reason in (error.detail or "")
        assert "skip_views 'odd'" in (error.hint or "") and "views_as_tables 'odd'" in (error.hint or "")
        assert "copied" not in pg.schemas()
        results = moved(source, "main", pg, "copied", skip_views=("odd",))
        assert set(results) == {"bills", "customers", "fine"}
        results = moved(source, "main", pg, "copied", views_as_tables=("odd",))
        assert kinds(pg, "copied")["odd"] == "table"
        assert results["odd"].rows_transferred == len(content(source, "SELECT * FROM main.odd"))


@pytest.mark.postgres
def test_a_view_whose_rows_differ_is_not_made(tmp_path: Path, pg: Connector) -> None:
    """One engine rounds halves away from zero, the other to even: no grammar says so, the rows do."""
    statements = (
        "CREATE TABLE halves (x double)",
        "INSERT INTO halves VALUES (0.5), (2.5)",
        "CREATE VIEW rounded AS SELECT round(x) AS r FROM halves",
        "CREATE VIEW plain AS SELECT x FROM halves",
    )
    with closing(made_duckdb(tmp_path / "a.duckdb", *statements)) as source:
        with pytest.raises(MigrationError) as refusal:
            moved(source, "main", pg, "copied")
        assert refusal.value.sqlstate == "VT002"
        assert 'view "rounded" does not give the same rows' in refusal.value.message
        assert "views_as_tables 'rounded'" in (refusal.value.hint or "")
        assert kinds(pg, "copied") == {"halves": "table"}  # all views or none
        moved(source, "main", pg, "copied", skip_views=("rounded",))
        assert kinds(pg, "copied") == {"halves": "table", "plain": "view"}
        moved(source, "main", pg, "copied", views_as_tables=("rounded",))
        assert content(pg, "SELECT * FROM copied.rounded") == content(source, "SELECT * FROM main.rounded")


def test_a_view_of_the_moment_is_made_and_not_compared(tmp_path: Path) -> None:
    statements = (
        *TABLES,
        "CREATE VIEW ages AS SELECT name, current_date - born AS age FROM customers",
        "CREATE VIEW names AS SELECT name FROM ages",
    )
    with (
        closing(made_duckdb(tmp_path / "a.duckdb", *statements)) as source,
        closing(made_duckdb(tmp_path / "b.duckdb")) as target,
    ):
        results = moved(source, "main", target, "copied")
        assert [results[name].verdict for name in ("ages", "names")] == ["inconclusive"] * 2
        assert any("depend on the moment" in note for note in results["ages"].notes)
        assert kinds(target, "copied")["names"] == "view"


@pytest.mark.slow
def test_a_table_in_the_way_and_names_that_are_none(tmp_path: Path, shop: Connector) -> None:
    with closing(
        made_duckdb(tmp_path / "b.duckdb", "CREATE SCHEMA copied", "CREATE TABLE copied.born (a int)")
    ) as target:
        with pytest.raises(MigrationError) as refusal:
            moved(shop, "main", target, "copied")
        assert "born: there is a table of that name" in (refusal.value.detail or "")
        for option in ("skip_views", "views_as_tables"):
            with pytest.raises(MigrationError) as unknown:
                moved(shop, "main", target, "copied", **{option: ("bron",)})
            assert (unknown.value.sqlstate, "born" in (unknown.value.hint or "")) == ("22023", True)
        assert set(moved(shop, "main", target, "copied", skip_views=("*",))) == {"bills", "customers"}
        everything = moved(shop, "main", target, "copied", views_as_tables=("*",), recreate=True)
        assert len(everything) == 7
        assert set(kinds(target, "copied").values()) == {"table"}


@pytest.mark.postgres
def test_a_materialized_view_moves_as_a_table_or_not_at_all(pg: Connector, tmp_path: Path) -> None:
    pg.execute("CREATE SCHEMA shop")
    pg.execute("CREATE TABLE shop.t (a int)")
    pg.execute("CREATE MATERIALIZED VIEW shop.m AS SELECT count(*) AS n FROM shop.t")
    with closing(made_duckdb(tmp_path / "b.duckdb")) as target:
        with pytest.raises(MigrationError) as refusal:
            moved(pg, "shop", target, "copied")
        assert "m: it is materialized" in (refusal.value.detail or "")
        assert moved(pg, "shop", target, "copied", views_as_tables=("m",))["m"].rows_transferred == 1


def test_a_view_that_is_broken_is_refused_by_name(tmp_path: Path) -> None:
    statements = (
        *TABLES,
        "CREATE TABLE gone (a int)",
        "CREATE VIEW broken AS SELECT * FROM gone",
        "DROP TABLE gone",
    )
    with (
        closing(made_duckdb(tmp_path / "a.duckdb", *statements)) as source,
        closing(made_duckdb(tmp_path / "b.duckdb")) as target,
    ):
        source.execute("CREATE VIEW above AS SELECT count(*) AS n FROM bills")
        with pytest.raises(MigrationError) as refusal:
            moved(source, "main", target, "copied")
        assert refusal.value.sqlstate == "0A000"
        assert "broken" in refusal.value.message and "above" not in refusal.value.message
        assert set(moved(source, "main", target, "copied", skip_views=("broken",))) == {
            "bills",
            "customers",
            "above",
        }


def test_explain_names_the_views(shop: Connector, tmp_path: Path) -> None:
    with closing(made_duckdb(tmp_path / "b.duckdb")) as target:
        options = TransferOptions(skip_views=("born",))
        views = plan_views("main", shop, target, ("copied",), options)
        items = requests("main", shop, ("copied",), options, views=views)
        rows = explain_schema(items, shop, target, views)
        assert target.schemas() == ["main"]
    assert ("view", "copied.spending", None) in rows
    assert ("skipped view", "born", None) in rows


def test_the_options_survive_the_journal() -> None:
    options = TransferOptions.from_pairs([("skip_views", 'a, "b c"'), ("views_as_tables", "*")])
    items = TransferRequest.from_json
    from migration.connectors.base import Source

    request = TransferRequest(Source(path=("main", "s")), ("t",), options=options)
    assert items(request.to_json()) == request
    assert options.skip_views == ("a", "b c")
