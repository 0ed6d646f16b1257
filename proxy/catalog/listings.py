"""The views of pg_catalog that list objects for people (pg_tables, pg_indexes …), and our own lookups.

A lookup is a relation of two columns or three, ``_k`` the key and ``_v`` the text a pg_* function gives for
it. The names are odd on purpose: the key expression of a call is put inside a subquery over the lookup, and
must not be captured by one of its columns.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from proxy.catalog import deparse, oids
from proxy.catalog.objects import Snapshot, arrow
from proxy.catalog.shapes import shipped_definitions
from proxy.catalog.typenames import formatted_name


def pg_tables(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (table.schema, table.name, owner,
        bool(table.indexes) or any(c.kind in "pu" for c in table.constraints),
         (table.schema, table.name) in snapshot.referenced or any(c.kind == "f" for c in table.constraints))
        for table in snapshot.tables
    ]  # fmt: skip
    varying = ("schemaname", "tablename", "tableowner", "hasindexes", "hastriggers")
    return arrow("pg_catalog.pg_tables", varying, rows, hasrules=False, rowsecurity=False)


def pg_views(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [(view.schema, view.name, owner, deparse.view_text(view)) for view in snapshot.views]
    return arrow("pg_catalog.pg_views", ("schemaname", "viewname", "viewowner", "definition"), rows)


def pg_indexes(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (key.table.schema, key.table.name, key.name, deparse.index_text(key.table, key.index, pretty=False))
        for key in snapshot.keys
    ]
    return arrow("pg_catalog.pg_indexes", ("schemaname", "tablename", "indexname", "indexdef"), rows)


def pg_sequences(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (s.schema, s.name, owner, s.start, s.minimum, s.maximum, s.increment, s.cycle,
         {"INTEGER": 23, "SMALLINT": 21}.get(s.type, 20))
        for s in snapshot.sequences
    ]  # fmt: skip
    varying = ("schemaname", "sequencename", "sequenceowner", "start_value", "min_value", "max_value",
        "increment_by", "cycle", "data_type")  # fmt: skip
    return arrow("pg_catalog.pg_sequences", varying, rows, cache_size=1)


def _statistics(name: str) -> Callable[[Snapshot, str], pa.Table]:
    def rows(snapshot: Snapshot, owner: str) -> pa.Table:
        found = [(oids.object_oid(table.id), table.schema, table.name) for table in snapshot.tables]
        counts = dict.fromkeys(("seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins",
            "n_tup_upd", "n_tup_del", "n_tup_hot_upd", "n_live_tup", "n_dead_tup", "n_mod_since_analyze",
        "n_ins_since_vacuum", "vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count"),
        0)  # fmt: skip
        return arrow(name, ("relid", "schemaname", "relname"), found, **counts)

    return rows


VIEWS: dict[str, Callable[[Snapshot, str], pa.Table]] = {
    "pg_catalog.pg_tables": pg_tables,
    "pg_catalog.pg_views": pg_views,
    "pg_catalog.pg_indexes": pg_indexes,
    "pg_catalog.pg_sequences": pg_sequences,
    "pg_catalog.pg_stat_user_tables": _statistics("pg_catalog.pg_stat_user_tables"),
    "pg_catalog.pg_stat_all_tables": _statistics("pg_catalog.pg_stat_all_tables"),
}


def _table(**columns: list[object]) -> pa.Table:
    kinds = {"_k": pa.int64(), "_n": pa.int64()}
    return pa.table({
        name: pa.array(values, pa.string() if values and isinstance(values[0], str) else kinds.get(name,
        pa.string()))
        for name, values in columns.items()
    })  # fmt: skip


def class_name(snapshot: Snapshot) -> pa.Table:
    """regclass: OID to schema and quoted name."""
    found = snapshot.by_name
    return _table(
        _k=list(found.values()),
        _s=[schema for schema, _ in found],
        _v=[deparse.quoted(name) for _, name in found],
        _q=[f"{deparse.quoted(schema)}.{deparse.quoted(name)}" for schema, name in found],
        _r=[name for _, name in found],
    )


def type_name(snapshot: Snapshot) -> pa.Table:
    """regtype and format_type: OID to SQL spelling; row types by their relation's name."""
    rows = snapshot.rows("pg_catalog.pg_type").to_pylist()
    spaces = {oid: name for name, oid in snapshot.schemas.items()}
    names = {row["oid"]: row["typname"] for row in rows}
    found: dict[int, str] = {}
    for row in rows:
        space = spaces.get(row["typnamespace"], "")
        is_array = row["typcategory"] == "A" and row["typname"].startswith("_")
        element = names.get(row["typelem"]) if is_array else None
        text = formatted_name(row["typname"], element)
        if space not in ("pg_catalog", "public"):
            text = f"{deparse.quoted(space)}.{text}"
        elif space == "public":
            text = deparse.quoted(element) + "[]" if element else deparse.quoted(text)
        found[row["oid"]] = text
    return _table(
        _k=list(found),
        _v=list(found.values()),
        _s=[spaces.get(row["typnamespace"], "") for row in rows],
        _r=[row["typname"] for row in rows],
    )


def _named(relation: str, column: str) -> Callable[[Snapshot], pa.Table]:
    def rows(snapshot: Snapshot) -> pa.Table:
        table = snapshot.rows(f"pg_catalog.{relation}")
        return pa.table({"_k": table.column("oid"), "_v": table.column(column)})

    return rows


def constraint_def(snapshot: Snapshot) -> pa.Table:
    found = list(snapshot.constraints())
    own = _table(
        _k=[oid for oid, _, _ in found],
        _n=[0 for _ in found],
        _v=[deparse.constraint_text(table, constraint, pretty=False) for _, table, constraint in found],
        _p=[deparse.constraint_text(table, constraint, pretty=True) for _, table, constraint in found],
    )
    return pa.concat_tables([shipped_definitions("constraint_def"), own])


def index_def(snapshot: Snapshot) -> pa.Table:
    """pg_get_indexdef: column 0 is the whole definition, column n its nth key."""
    keys: list[object] = []
    columns: list[object] = []
    plain: list[object] = []
    pretty: list[object] = []
    for key in snapshot.keys:
        keys.append(key.oid)
        columns.append(0)
        plain.append(deparse.index_text(key.table, key.index, pretty=False))
        pretty.append(deparse.index_text(key.table, key.index, pretty=True))
        for number, name in enumerate(key.columns, 1):
            keys.append(key.oid)
            columns.append(number)
            plain.append(deparse.index_column(key.table, name))
            pretty.append(plain[-1])
    own = _table(_k=keys, _n=columns, _v=plain, _p=pretty)
    return pa.concat_tables([shipped_definitions("index_def"), own])


def view_def(snapshot: Snapshot) -> pa.Table:
    return _table(
        _k=[oids.object_oid(view.id) for view in snapshot.views],
        _v=[deparse.view_text(view) for view in snapshot.views],
    )


def description(snapshot: Snapshot) -> pa.Table:
    table = snapshot.rows("pg_catalog.pg_description")
    return pa.table({
        "_k": table.column("objoid"), "_c": table.column("classoid"), "_n": table.column("objsubid"),
        "_v": table.column("description"),
    })  # fmt: skip


def serial_sequence(snapshot: Snapshot) -> pa.Table:
    """pg_get_serial_sequence: table as written, column, sequence."""
    tables = {table.id: table for table in snapshot.tables}
    rows: list[tuple[object, object, object]] = []
    for sequence in snapshot.sequences:
        table = tables.get(sequence.owned_by[0]) if sequence.owned_by else None
        for column in table.columns if table else ():
            if table is not None and sequence.owned_by and column.id == sequence.owned_by[1]:
                text = f"{deparse.quoted(sequence.schema)}.{deparse.quoted(sequence.name)}"
                full = f"{deparse.quoted(table.schema)}.{deparse.quoted(table.name)}"
                rows.append((full, column.name, text))
                if table.schema == "public":
                    rows.append((deparse.quoted(table.name), column.name, text))
    return _table(_k=[row[0] for row in rows], _c=[row[1] for row in rows], _v=[row[2] for row in rows])


def function_arguments(snapshot: Snapshot) -> pa.Table:
    """pg_get_function_arguments and …_result, for the system's functions and macros."""
    table = snapshot.rows("pg_catalog.pg_proc")
    types = dict(zip(*(column.to_pylist() for column in type_name(snapshot).columns[:2]), strict=True))
    arguments, results = [], []
    for row in table.select(["proargtypes", "proargnames", "prorettype", "proretset"]).to_pylist():
        names = row["proargnames"] or []
        arguments.append(
            ", ".join(
                f"{deparse.quoted(names[i])} {types.get(kind, '-')}"
                if i < len(names) and names[i]
                else types.get(kind, "-")
                for i, kind in enumerate(row["proargtypes"] or [])
            )
        )
        results.append(("SETOF " if row["proretset"] else "") + types.get(row["prorettype"], "-"))
    return pa.table({"_k": table.column("oid"), "_v": arguments, "_r": results})


LOOKUPS: dict[str, Callable[[Snapshot], pa.Table]] = {
    "class_name": class_name,
    "type_name": type_name,
    "proc_name": _named("pg_proc", "proname"),
    "namespace_name": _named("pg_namespace", "nspname"),
    "operator_name": _named("pg_operator", "oprname"),
    "constraint_def": constraint_def,
    "index_def": index_def,
    "view_def": view_def,
    "description": description,
    "serial_sequence": serial_sequence,
    "function_arguments": function_arguments,
}
