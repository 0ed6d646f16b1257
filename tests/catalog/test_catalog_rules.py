"""The rules of the catalog that PostgreSQL cannot be the judge of: branches, aliases, epochs, sessions."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
import reference
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from branching.errors import BoughError
from branching.model import Catalog, Column, Schema, Table
from proxy.catalog import Backend, Role, SystemCatalog, mentions_catalog, oids, result_types
from proxy.catalog.contents import Objects
from proxy.sql.respell import catalog_sql

pytestmark = pytest.mark.sampled

Ask = Callable[..., list[tuple[Any, ...]]]


def tree(text: str) -> sqlglot.exp.Expr:
    return sqlglot.parse_one(catalog_sql(text), read="postgres")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM pg_class",
        "SELECT * FROM pg_catalog.pg_class c",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM app.information_schema.tables",
        "SELECT version()",
        "SELECT pg_catalog.version()",
        "SELECT current_schema()",
        "SELECT current_database()",
        "SELECT current_setting('x')",
        "SELECT pg_backend_pid()",
        "SELECT obj_description(1)",
        "SELECT 'flights'::regclass",
        "SELECT user",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_tables)",
        "SELECT a OPERATOR(pg_catalog.~) 'x' FROM t",
    ],
)
def test_a_statement_that_needs_the_catalog_is_seen(text: str) -> None:
    assert mentions_catalog(tree(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT a, count(*) FROM flights GROUP BY 1",
        "INSERT INTO t VALUES (1, 'pg_class')",
        "WITH pg_class AS (SELECT 1 AS oid) SELECT oid FROM pg_class",
        "SELECT lower(name) FROM public.pg_class",
        "CREATE TABLE t (a INTEGER)",
    ],
)
def test_other_statements_are_left_alone(text: str) -> None:
    assert not mentions_catalog(tree(text))


def test_rows_say_public_unless_the_client_says_main(ask: Ask) -> None:
    tables = (
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = {} ORDER BY 2"
    )
    names = ["airlines", "flights", "late", "pairs", "plain"]
    assert ask(tables.format("'public'")) == [("public", name) for name in names]
    assert ask(tables.format("'main'")) == [("main", name) for name in names]
    assert ask("SELECT count(*) FROM information_schema.tables WHERE table_name = 'flights'") == [(1,)]


def test_what_hatidata_asks_finds_the_tables_of_main(ask: Ask) -> None:
    base = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND table_type = 'BASE TABLE'"
    assert sorted(ask(base)) == [("airlines",), ("flights",), ("pairs",), ("plain",)]
    columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'plain'"
    assert ask(columns) == [("a", "integer", "YES"), ("Mixed Case", "text", "YES")]
    kinds = "SELECT table_type, COUNT(*) AS cnt FROM information_schema.tables WHERE table_schema='main' GROUP BY 1"
    assert sorted(ask(kinds)) == [("BASE TABLE", 4), ("VIEW", 1)]
    schemas = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name"
    assert ask(schemas) == [("information_schema",), ("pg_catalog",), ("pg_toast",), ("public",), ("sales",)]
    like = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'branch_%'"
    assert ask(like) == []


def test_the_database_is_the_name_the_client_connected_under(ask: Ask) -> None:
    text = "SELECT DISTINCT table_catalog FROM information_schema.tables"
    assert ask(text, database="hatidata") == [("hatidata",)]
    assert ask("SELECT catalog_name FROM information_schema.schemata", database="x")[0] == ("x",)
    assert ask("SELECT current_database()", database="x") == [("x",)]
    assert ask("SELECT datname FROM pg_database WHERE datname = current_database()", database="x") == [("x",)]
    assert ask(
        "SELECT table_name FROM x.information_schema.tables WHERE table_name = 'late'", database="x"
    ) == [("late",)]


def test_session_functions_need_no_catalog_relation(ask: Ask) -> None:
    changes = {
        "user": "alice",
        "pid": 77,
        "settings": {"application_name": "psql"},
        "search_path": ("sales",),
    }
    text = (
        "SELECT current_user, user, pg_backend_pid(), current_setting('application_name'), current_schema()"
    )
    assert ask(text, **changes) == [("alice", "alice", 77, "psql", "sales")]
    assert ask("SELECT current_schemas(true), current_schemas(false)") == [
        (["pg_catalog", "public"], ["public"])
    ]
    assert ask("SELECT current_setting('nosuch', true)") == [(None,)]
    assert ask("SELECT setting FROM pg_settings WHERE name = 'application_name'", **changes) == [("psql",)]


def test_columns_are_named_as_postgres_names_them(engine: reference.Engine, system: SystemCatalog) -> None:
    text = (
        "SELECT version(), current_schema(), to_regclass('a') IS NULL, 1::oid, "
        "CASE WHEN true THEN 1 END, pg_backend_pid() + 1"
    )
    names, _ = reference.ask(engine, system, text, reference.catalog())
    assert names == ["version", "current_schema", "?column?", "oid", "case", "?column?"]


def test_a_table_off_the_search_path_is_not_visible_and_is_qualified(ask: Ask) -> None:
    seen = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace > 16384 AND pg_table_is_visible(oid)"
    assert ask(seen) == []
    assert ask(seen, search_path=("sales", "public")) == [("orders",), ("Odd Names",)]
    text = "SELECT oid::regclass FROM pg_class WHERE relname = 'orders'"
    assert ask(text) == [("sales.orders",)]
    assert ask(text, search_path=("sales",)) == [("orders",)]


def test_roles_and_sessions_are_the_contexts(ask: Ask) -> None:
    roles = (Role(10, "bough", superuser=True), Role(16500, "alice"))
    assert ask("SELECT usename, usesuper FROM pg_user ORDER BY 1", roles=roles) == [
        ("alice", False),
        ("bough", True),
    ]
    assert ask("SELECT tableowner FROM pg_tables WHERE tablename = 'plain'", roles=roles) == [("bough",)]
    backends = (Backend(7, "alice", "ref", "psql", state="active", statement="SELECT 1"),)
    text = "SELECT pid, usename, datname, query FROM pg_stat_activity"
    assert ask(text, roles=roles, backends=backends) == [(7, "alice", "ref", "SELECT 1")]


def test_a_relation_postgres_has_is_never_missing(ask: Ask) -> None:
    from proxy.catalog.shapes import relations

    for name in relations():
        if not name.endswith("pg_get_keywords"):
            ask(f"SELECT * FROM {name} LIMIT 1")


def test_result_types_are_the_declared_ones() -> None:
    text = (
        "SELECT c.oid, c.relname, c.relkind, c.reltype::regtype, i.indkey, count(*), "
        "x.a FROM pg_class c, pg_index i, x"
    )
    assert result_types(tree(text)) == ["oid", "name", '"char"', "regtype", "int2vector", "bigint", None]
    assert result_types(tree("SELECT * FROM pg_namespace")) == ["oid", "name", "oid", "aclitem[]"]
    assert result_types(tree("SELECT n.*, 1 FROM (SELECT oid FROM pg_class) n")) == ["oid", "integer"]


def test_a_query_with_user_tables_leaves_those_to_the_branch(system: SystemCatalog) -> None:
    text = "SELECT f.id FROM flights f JOIN pg_class c ON c.relname = f.origin"
    done = system.rewrite(tree(text), reference.catalog(), reference.context())
    assert "FROM flights AS f" in done.tree.sql("duckdb")
    assert not done.only_catalog
    only = system.rewrite(
        tree("WITH x AS (SELECT 1) SELECT * FROM x, pg_class"), reference.catalog(), reference.context()
    )
    assert only.only_catalog


def test_the_given_tree_is_not_changed(system: SystemCatalog) -> None:
    given_tree = tree("SELECT relname FROM pg_class WHERE oid = 'flights'::regclass")
    before = given_tree.sql()
    system.rewrite(given_tree, reference.catalog(), reference.context())
    assert given_tree.sql() == before


def _schemas(engine: reference.Engine) -> set[str]:
    text = (
        ""
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'bough_catalog' AND schema_name LIKE 'e%'"
    )
    return {row[0] for row in engine.connection.execute(text).fetchall()}


def test_an_epoch_goes_when_newer_ones_come_and_nobody_reads_it() -> None:
    engine = reference.Engine()
    system = SystemCatalog(engine, keep=2)
    catalogs = [reference.catalog() for _ in range(6)]
    kept = system.rewrite(tree("SELECT relname FROM pg_class"), catalogs[0], reference.context())
    for objects in catalogs[1:]:
        reference.ask(engine, system, "SELECT 1 FROM pg_class", objects)
    gc.collect()
    assert engine.connection.execute(kept.tree.sql("duckdb")).fetchall()
    assert len(_schemas(engine)) <= 3
    first = kept.leases[0].schema
    del kept
    gc.collect()
    reference.ask(engine, system, "SELECT 1 FROM pg_class", catalogs[1])
    assert first not in _schemas(engine)


def test_a_changed_catalog_is_seen_at_once(engine: reference.Engine, system: SystemCatalog) -> None:
    objects = reference.catalog()
    text = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'extra'"
    assert reference.ask(engine, system, text, objects)[1] == [(0,)]
    changed = objects.with_object(Table(99, "public", "extra", (Column(1, "a", "INTEGER"),)))
    assert reference.ask(engine, system, text, changed)[1] == [(1,)]
    assert reference.ask(engine, system, text, objects)[1] == [(0,)]


@given(st.lists(st.integers(1, 100_000), unique=True, min_size=1, max_size=30), st.integers(0, 200))
def test_oids_never_meet(ids: list[int], position: int) -> None:
    found = [oids.object_oid(identity) for identity in ids]
    found += [oids.row_type_oid(identity) + extra for identity in ids for extra in (0, 1)]
    found += [oids.constraint_oid(identity, position) for identity in ids]
    found += [oids.constraint_index_oid(identity, position) for identity in ids]
    found += [oids.default_oid(identity, position) for identity in ids]
    found += [oids.rule_oid(identity) for identity in ids]
    assert len(set(found)) == len(found)
    assert all(16384 <= oid < 2**31 for oid in found)


def test_an_object_keeps_its_oid_whatever_else_changes() -> None:
    objects = reference.catalog()
    flights = objects.find("public", "flights")
    assert isinstance(flights, Table)
    without = Catalog(
        MappingProxyType({"public": Schema(0, "public")}), MappingProxyType({("public", "flights"): flights})
    )
    assert (
        Objects(objects).by_name["public", "flights"]
        == Objects(without).by_name["public", "flights"]
        == 16387
    )


def test_array_casts_the_parser_refuses_are_respelled_outside_strings_only() -> None:
    assert catalog_sql("SELECT a::oid[], 'b::oid[]', x::regtype [ ]") == (
        "SELECT a::pg_catalog.oid[], 'b::oid[]', x::pg_catalog.regtype [ ]"
    )
    text = "SELECT 1"
    assert catalog_sql(text) is text


def test_the_shipped_files_stay_small() -> None:
    from proxy.catalog.shapes import HERE

    assert sum(path.stat().st_size for path in HERE.glob("rows/*.parquet")) < 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM pg_class",
        "UPDATE pg_catalog.pg_class SET relname = 'x'",
        "INSERT INTO pg_type (typname) VALUES ('x')",
        "DROP TABLE pg_catalog.pg_class",
    ],
)
def test_system_catalogs_cannot_be_written(system: SystemCatalog, text: str) -> None:
    with pytest.raises(BoughError) as caught:
        system.rewrite(tree(text), reference.catalog(), reference.context())
    assert caught.value.sqlstate == "42501"


def test_an_unknown_system_relation_is_an_undefined_table(system: SystemCatalog) -> None:
    with pytest.raises(BoughError) as caught:
        system.rewrite(tree("SELECT * FROM pg_catalog.pg_nosuch"), reference.catalog(), reference.context())
    assert caught.value.sqlstate == "42P01"


def test_a_view_over_the_catalog_is_refused(system: SystemCatalog) -> None:
    with pytest.raises(BoughError) as caught:
        system.rewrite(
            tree("CREATE VIEW v AS SELECT * FROM pg_class"), reference.catalog(), reference.context()
        )
    assert caught.value.sqlstate == "0A000"


@pytest.mark.parametrize("value", ["flights", "public.flights", "16387"])
def test_a_parameter_cast_to_regclass_is_a_name_or_a_number(
    engine: reference.Engine, system: SystemCatalog, value: str
) -> None:
    text = "SELECT relname FROM pg_class WHERE oid = $1::regclass"
    done = system.rewrite(tree(text), reference.catalog(), reference.context())
    assert engine.connection.execute(done.tree.sql("duckdb"), [value]).fetchall() == [("flights",)]


def test_parameters_pass_through(engine: reference.Engine, system: SystemCatalog) -> None:
    text = "SELECT typname FROM pg_type t WHERE t.oid = ANY($1::oid[]) OR t.oid = to_regtype($2) ORDER BY 1"
    done = system.rewrite(tree(text), reference.catalog(), reference.context())
    found = engine.connection.execute(done.tree.sql("duckdb"), [[23, 25], "jsonb"]).fetchall()
    assert found == [("int4",), ("jsonb",), ("text",)]


def test_a_relation_may_be_named_where_its_oid_is_expected(ask: Ask) -> None:
    assert ask("SELECT pg_get_viewdef('late') LIKE '%flights%', obj_description('flights')") == [
        (True, "every flight")
    ]


@pytest.mark.parametrize(
    ("text", "state"),
    [("'nosuch'::regclass", "42P01"), ("'nosuch'::regtype", "42704"), ("'nosuch'::regproc", "42883")],
)
def test_a_name_of_nothing_is_an_error_as_in_postgres(system: SystemCatalog, text: str, state: str) -> None:
    with pytest.raises(BoughError) as caught:
        system.rewrite(tree(f"SELECT {text}"), reference.catalog(), reference.context())
    assert caught.value.sqlstate == state


def test_session_functions_alone_change_nothing_else(engine: reference.Engine, system: SystemCatalog) -> None:
    text = "SELECT 7 / 2 AS half, current_database() AS db, obj_description('flights') AS d, \"Some\" AS s FROM Tab"
    done = system.session_functions(tree(text), reference.catalog(), reference.context(database="x"))
    assert done.tree.sql("duckdb").startswith("SELECT 7 / 2 AS half, 'x' AS db, ")
    assert done.tree.sql("duckdb").endswith('"Some" AS s FROM Tab')
    assert done.types == (None, "name", "text", None)
    assert not done.only_catalog
    text = "SELECT obj_description('flights'), pg_get_userbyid(10)"
    done = system.session_functions(tree(text), reference.catalog(), reference.context())
    assert engine.connection.execute(done.tree.sql("duckdb")).fetchall() == [("every flight", "postgres")]


def test_a_schema_called_lookup_is_the_users_own(system: SystemCatalog) -> None:
    text = "SELECT class_name.a FROM lookup.class_name, pg_class"
    done = system.rewrite(tree(text), reference.catalog(), reference.context())
    assert "FROM lookup.class_name" in done.tree.sql("duckdb")


def test_the_shipped_files_are_in_packages_so_that_they_are_installed() -> None:
    from proxy.catalog.shapes import HERE

    for path in (*HERE.rglob("*.parquet"), *HERE.rglob("*.json")):
        assert (path.parent / "__init__.py").exists()
