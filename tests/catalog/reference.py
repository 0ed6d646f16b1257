"""The schema of ``reference.sql`` as a Catalog, the executor over the engine, and what PostgreSQL 15 answers.

Run as a script against a real server to record the answers again::

    python tests/catalog/reference.py "host=127.0.0.1 user=postgres dbname=postgres"
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from branching.model import Catalog, Column, Constraint, Index, Schema, Sequence, Table, View
from proxy.catalog import Context, Database, SystemCatalog
from proxy.sql.respell import catalog_sql

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
ANSWERS = HERE / "answers"
NAMED = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
VERSION = (
    "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, "
    "compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit"
)
TSTZ = "TIMESTAMP WITH TIME ZONE"


class Engine:
    """An Executor over one in-memory engine."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def execute(self, sql: str) -> object:
        return self.connection.execute(sql)

    def load(self, table: str, rows: pa.Table) -> None:
        self.connection.register("_rows", rows)
        self.connection.execute(f"CREATE TABLE {table} AS SELECT * FROM _rows")
        self.connection.unregister("_rows")


def catalog() -> Catalog:
    airlines = Table(
        2, "public", "airlines",
        (Column(1, "carrier", "VARCHAR", True, declared="varchar(2)"), Column(2, "name", "VARCHAR", True)),
        (Constraint("airlines_pkey", "p", ("carrier",)),),
    )  # fmt: skip
    flights = Table(
        3, "public", "flights",
        (
            Column(1, "id", "INTEGER", True),
            Column(2, "carrier", "VARCHAR", True, declared="character varying(2)"),
            Column(3, "origin", "VARCHAR", default="'JFK'", comment="airport code"),
            Column(4, "dep_delay", "DOUBLE"),
            Column(5, "price", "DECIMAL(10,2)", default="0"),
            Column(6, "seats", "INTEGER", default="100"),
            Column(7, "flown", "BOOLEAN", default="false"),
            Column(8, "scheduled", TSTZ, default="now()"),
            Column(9, "tags", "VARCHAR[]"),
        ),
        (
            Constraint("flights_pkey", "p", ("id",)),
            Constraint("flights_carrier_fkey", "f", ("carrier",), None, "public", "airlines", ("carrier",)),
            Constraint("flights_seats_check", "c", (), "seats > 0"),
            Constraint("flights_origin_dep_key", "u", ("origin", "scheduled")),
        ),
        (Index(4, "flights_carrier_idx", ("carrier",)),
         Index(5, "flights_origin_carrier_idx", ("origin", "id"), unique=True)),
        "every flight",
    )  # fmt: skip
    orders = Table(
        8, "sales", "orders",
        (
            Column(1, "id", "INTEGER", True, "nextval('sales.orders_id_seq')"),
            Column(2, "flight", "INTEGER"),
            Column(3, "note", "VARCHAR", declared="character varying(40)"),
            Column(4, "placed", "TIMESTAMP"),
            Column(5, "day", "DATE"),
            Column(6, "body", "JSON", declared="jsonb"),
            Column(7, "raw", "BLOB"),
            Column(8, "key", "UUID"),
            Column(9, "big", "BIGINT", True, "7"),
            Column(10, "small", "SMALLINT"),
            Column(11, "real4", "FLOAT"),
            Column(12, "gap", "INTERVAL"),
        ),
        (
            Constraint("orders_pkey", "p", ("id",)),
            Constraint("orders_flight_fkey", "f", ("flight",), None, "public", "flights", ("id",),
            on_delete="c"),
        ),
    )  # fmt: skip
    pairs = Table(
        21, "public", "pairs",
        (
            *(Column(n, name, "INTEGER", name in "xy") for n, name in enumerate(("x", "y", "parent_x", "parent_y"))),
            Column(4, "both_of", "INTEGER", generated="x + y"),
        ),
        (
            Constraint("pairs_pkey", "p", ("x", "y")),
            Constraint("pairs_parent_x_parent_y_fkey", "f", ("parent_x", "parent_y"), None, "public", "pairs",
                ("x", "y"), on_delete="n", on_update="c"),
            Constraint("pairs_check", "c", (), "x <> y"),
        ),
    )  # fmt: skip
    odd = Table(
        22, "sales", "Odd Names",
        (
            Column(1, "select", "BIGINT", True, "nextval('sales.\"Odd Names_select_seq\"')", identity="d"),
            Column(2, "a b", "VARCHAR", default="'x'", declared="character varying(5)"),
            Column(3, "state", "VARCHAR"),
        ),
        (
            Constraint("Odd Names_pkey", "p", ("select",)),
            Constraint("Odd Names_a b_key", "u", ("a b",)),
            Constraint("Odd Names_state_check", "c", ("state",), "state IN ('new', 'old')"),
        ),
        (Index(23, "Odd Index", ("state", "a b")),),
    )  # fmt: skip
    late_columns = (
        Column(1, "id", "INTEGER"),
        Column(2, "carrier", "VARCHAR", declared="character varying(2)"),
    )
    relations: list[Table | View | Sequence] = [
        airlines,
        flights,
        orders,
        Sequence(6, "public", "counter", "s6", start=5, increment=2),
        Sequence(7, "sales", "orders_id_seq", "s7", "INTEGER", maximum=2147483647, owned_by=(8, 1)),
        Table(9, "public", "plain", (Column(1, "a", "INTEGER"), Column(2, "Mixed Case", "VARCHAR"))),
        pairs,
        odd,
        Sequence(24, "sales", "Odd Names_select_seq", "s24", owned_by=(22, 1)),
        View(10, "public", "late", "SELECT id, carrier FROM public.flights", late_columns),
    ]
    return Catalog(
        MappingProxyType({"public": Schema(0, "public"), "sales": Schema(1, "sales", "what was sold")}),
        MappingProxyType({(item.schema, item.name): item for item in relations}),
    )


def context(**changes: Any) -> Context:
    databases = (
        Database(5, "postgres", "default administrative connection database"),
        Database(16400, "ref"),
        Database(4, "template0", "unmodifiable empty database"),
        Database(1, "template1", "default template for new databases"),
    )
    fields: dict[str, Any] = {
        "database": "ref",
        "databases": databases,
        "version": VERSION,
        "search_path": ("$user", "public"),
    }
    return Context(**{**fields, **changes})


def corpus() -> Iterator[tuple[str, str, str]]:
    """(file, title, SQL) of every query of the corpus."""
    for path in sorted(CORPUS.glob("*.sql")):
        for part in path.read_text(encoding="utf-8").split("-- title: ")[1:]:
            title, _, text = part.partition("\n")
            yield path.stem, title.strip(), text.strip().removesuffix(";")


def with_oids(text: str, oids: dict[str, int]) -> str:
    """Put OIDs in the place of ``{oid:schema.name}``."""
    return re.sub(r"\{oid:([^}]*)\}", lambda match: str(oids[match.group(1)]), text)


def shown(value: object, inside: bool = False) -> str | None:
    """A value of the engine in Postgres' text form."""
    if value is None:
        return "NULL" if inside else None
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, (list, tuple)):
        return "{" + ",".join(shown(item, inside=True) or "" for item in value) + "}"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, (dict,)):
        return json.dumps(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        return str(value).removesuffix(":00") if value.tzinfo else str(value)
    text = str(value)
    return '"' + text.replace('"', '\\"') + '"' if inside and re.search(r'[\s,{}"]', text) else text


def normal(rows: list[list[str | None]], ordered: bool) -> list[list[str | None]]:
    """Rows without what differs between any two servers: OIDs of user objects, unasked order."""
    found = [
        [
            None
            if cell is None
            else re.sub(r"\d{5,}", lambda m: "<oid>" if int(m[0]) >= 16384 else m[0], cell)
            for cell in row
        ]
        for row in rows
    ]
    return found if ordered else sorted(found, key=str)


def is_ordered(text: str) -> bool:
    return sqlglot.parse_one(catalog_sql(text), read="postgres").args.get("order") is not None


def own_oids(engine: Engine, system: SystemCatalog, objects: Catalog) -> dict[str, int]:
    text = f"SELECT n.nspname || '.' || c.relname, c.oid {NAMED}"
    return dict(ask(engine, system, text, objects)[1])


def ask(
    engine: Engine, system: SystemCatalog, text: str, objects: Catalog, **changes: Any
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """(column names, rows) of one query on the branch."""
    done = system.rewrite(sqlglot.parse_one(catalog_sql(text), read="postgres"), objects, context(**changes))
    found = engine.connection.execute(done.tree.sql("duckdb"))
    return [column[0] for column in found.description or ()], found.fetchall()


def record(dsn: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS ref")
        admin.execute("CREATE DATABASE ref")
    ANSWERS.mkdir(exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    with psycopg.connect(dsn, autocommit=True, dbname="ref", options="-c timezone=UTC") as connection:
        connection.execute(sql.SQL((HERE / "reference.sql").read_text(encoding="utf-8")))  # type: ignore[arg-type]
        oids = dict(
            connection.execute(
                f"SELECT n.nspname || '.' || c.relname, c.oid::int {NAMED}"  # type: ignore[arg-type]
            ).fetchall()
        )
        for file, title, text in corpus():
            result = connection.pgconn.exec_(with_oids(text, oids).encode())
            if result.error_message:
                print(title, result.error_message.decode())
                continue
            rows = [
                [None if (v := result.get_value(r, c)) is None else v.decode() for c in range(result.nfields)]
                for r in range(result.ntuples)
            ]
            names = [(result.fname(c) or b"").decode() for c in range(result.nfields)]
            types = [result.ftype(c) for c in range(result.nfields)]
            answer = {"columns": names, "types": types, "rows": normal(rows, is_ordered(text))}
            found.setdefault(file, {})[title] = answer
    for file, answers in found.items():
        path = ANSWERS / f"{file}.json"
        path.write_text(json.dumps(answers, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1])
