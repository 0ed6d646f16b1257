"""The objects of one branch as rows of pg_catalog.

Rules:

1. A ``Snapshot`` is a function of one immutable ``Catalog``: what depends on the session (database name,
   roles, settings) is not here but in ``session.py``.
2. One method per system relation, found by its name. It gives the rows of the user's objects; the system's
   own rows are added from the shipped files. A relation without a method has the shipped rows only.
3. Rows are tuples of what varies; columns equal in every row are given once. Columns nobody gives are NULL.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import sqlglot
from sqlglot import exp

from branching.model import Column, Table, View
from branching.model import Sequence as Counter
from branching.names import SHOWN_TEMPORARY_SCHEMA
from proxy.catalog import deparse, oids
from proxy.catalog.contents import Objects, expression_columns, numbers
from proxy.catalog.shapes import schema_of, shipped_rows
from proxy.catalog.typenames import column_type, system_types

_OPCLASS = {"text": "text_ops", "varchar": "text_ops", "bpchar": "bpchar_ops", "int2": "int2_ops",
    "int4": "int4_ops",
    "int8": "int8_ops", "float4": "float4_ops", "float8": "float8_ops", "numeric": "numeric_ops",
    "bool": "bool_ops",
    "date": "date_ops", "timestamp": "timestamp_ops", "timestamptz": "timestamptz_ops", "uuid": "uuid_ops",
    "bytea": "bytea_ops", "time": "time_ops", "interval": "interval_ops", "jsonb": "jsonb_ops"}  # fmt: skip


# Between the plain and the pretty text of a stored expression, which only pg_get_expr opens.
PRETTY = "\x1f"


def arrow(
    name: str, varying: tuple[str, ...], rows: Sequence[tuple[object, ...]], **fixed: object
) -> pa.Table:
    """Rows of the system relation ``name``; ``fixed`` columns have one value in all of them."""
    schema = schema_of(name)
    columns = dict(zip(varying, zip(*rows, strict=True), strict=True)) if rows else {}
    arrays = []
    for entry in schema:
        if entry.name in columns:
            arrays.append(pa.array(columns[entry.name], entry.type))
        elif rows and fixed.get(entry.name) is not None:
            arrays.append(pa.repeat(pa.scalar(fixed[entry.name], entry.type), len(rows)))
        else:
            arrays.append(pa.nulls(len(rows), entry.type))
    return pa.Table.from_arrays(arrays, schema=schema)


class Snapshot(Objects):
    """All rows that describe the objects of one catalog."""

    def rows(self, name: str) -> pa.Table:
        """The relation ``schema.name``: the system's rows, then the user's."""
        made = getattr(self, "_" + name.partition(".")[2], None) if name.startswith("pg_catalog.") else None
        if made is None:
            return shipped_rows(name)
        own: pa.Table = made()
        return pa.concat_tables([shipped_rows(name), own])

    def _pg_namespace(self) -> pa.Table:
        static = set(shipped_rows("pg_catalog.pg_namespace").column("nspname").to_pylist())
        rows = [(oid, name) for name, oid in self.schemas.items() if name not in static]
        return arrow("pg_catalog.pg_namespace", ("oid", "nspname"), rows, nspowner=oids.OWNER)

    def _pg_class(self) -> pa.Table:
        varying = (
            "oid", "relname", "relnamespace", "reltype", "relam", "relfilenode", "relhasindex", "relkind",
            "relnatts", "relchecks", "relhasrules", "relhastriggers", "relreplident", "reltoastrelid",
            "relpages", "reltuples", "relpersistence",
        )  # fmt: skip
        rows: list[tuple[object, ...]] = []
        indexed = {(key.table.schema, key.table.name) for key in self.keys}
        for table in self.tables:
            oid, place = oids.object_oid(table.id), (table.schema, table.name)
            checks = sum(constraint.kind == "c" for constraint in table.constraints)
            triggers = place in self.referenced or any(item.kind == "f" for item in table.constraints)
            rows.append((
                oid, table.name, self.schemas[table.schema], oids.row_type_oid(table.id), 2, oid,
                place in indexed,
                "r", len(table.columns), checks, False, triggers, "d", 0, 0, -1.0,
            ))  # fmt: skip
        for view in self.views:
            rows.append((
                oids.object_oid(view.id), view.name, self.schemas[view.schema], oids.row_type_oid(view.id),
                0, 0, False,
                "v", len(view.columns), 0, True, False, "n", 0, 0, -1.0,
            ))  # fmt: skip
        for sequence in self.sequences:
            oid = oids.object_oid(sequence.id)
            space = self.schemas[sequence.schema]
            rows.append(
                (oid, sequence.name, space, 0, 0, oid, False, "S", 3, 0, False, False, "n", 0, 1, 1.0)
            )
        for key in self.keys:
            space = self.schemas[key.table.schema]
            count = len(key.columns)
            rows.append(
                (
                    key.oid,
                    key.name,
                    space,
                    0,
                    403,
                    key.oid,
                    False,
                    "i",
                    count,
                    0,
                    False,
                    False,
                    "n",
                    0,
                    1,
                    0.0,
                )
            )
        private = self.schemas.get(SHOWN_TEMPORARY_SCHEMA)
        kept = [(*row, "t" if row[2] == private else "p") for row in rows]
        return arrow(
            "pg_catalog.pg_class", varying, kept, reloftype=0, relowner=oids.OWNER, reltablespace=0,
            relallvisible=0, relisshared=False, relrowsecurity=False,
            relforcerowsecurity=False, relispopulated=True, relispartition=False,
            relhassubclass=False, relrewrite=0, relfrozenxid=0, relminmxid=0,
        )  # fmt: skip

    def _pg_attribute(self) -> pa.Table:
        varying = (
            "attrelid", "attname", "atttypid", "attlen", "attnum", "attndims", "atttypmod", "attbyval",
            "attalign",
            "attstorage", "attnotnull", "atthasdef", "attidentity", "attgenerated", "attcollation",
        )  # fmt: skip
        sequences = {oids.object_oid(item.id) for item in self.sequences}
        rows: list[tuple[object, ...]] = []
        for oid, number, name, kind, column in self.attributes():
            has_default = column is not None and _has_default(column)
            rows.append((
                oid, name, kind.oid, kind.length, number, kind.dimensions, kind.modifier, kind.by_value,
                kind.align,
                kind.storage, column.not_null if column else oid in sequences, has_default,
                column.identity if column else "", "s" if column and column.generated else "", kind.collation,
            ))  # fmt: skip
        return arrow(
            "pg_catalog.pg_attribute", varying, rows, attstattarget=-1, attcacheoff=-1, attcompression="",
            atthasmissing=False, attisdropped=False, attislocal=True, attinhcount=0,
        )  # fmt: skip

    def _pg_attrdef(self) -> pa.Table:
        rows = []
        for table in self.tables:
            for number, column in enumerate(table.columns, 1):
                if _has_default(column):
                    source = column.generated or column.default or ""
                    text = PRETTY.join(
                        deparse.default_text(source, column.type, column.declared, pretty=pretty)
                        for pretty in (False, True)
                    )
                    rows.append((oids.default_oid(table.id, number), oids.object_oid(table.id), number, text))
        return arrow("pg_catalog.pg_attrdef", ("oid", "adrelid", "adnum", "adbin"), rows)

    def _pg_constraint(self) -> pa.Table:
        varying = (
            "oid", "conname", "connamespace", "contype", "conrelid", "conindid", "confrelid", "confupdtype",
            "confdeltype", "confmatchtype", "connoinherit", "conkey", "confkey", "conbin", "condeferrable",
            "condeferred",
        )  # fmt: skip
        rows: list[tuple[object, ...]] = []
        behind = {(key.table.id, key.columns): key.oid for key in reversed(self.keys) if key.constraint}
        owner = {key.oid: (key.table.id, key.name) for key in self.keys if key.constraint}
        own = {place: oid for oid, place in owner.items()}
        for oid, table, constraint in self.constraints():
            target = self.catalog.find(constraint.ref_schema or table.schema, constraint.ref_table or "")
            foreign = constraint.kind == "f"
            referenced = target if foreign and isinstance(target, Table) else None
            columns = constraint.columns or expression_columns(constraint.expression, table)
            rows.append((
                oid, constraint.name, self.schemas[table.schema], constraint.kind, oids.object_oid(table.id),
                own.get((table.id, constraint.name), 0) if not foreign
                else behind.get((referenced.id, constraint.ref_columns), 0) if referenced else 0,
                oids.object_oid(referenced.id) if referenced else 0,
                constraint.on_update if foreign else " ", constraint.on_delete if foreign else " ",
                "s" if foreign else " ", constraint.kind != "c", numbers(table, columns),
                numbers(referenced, constraint.ref_columns) if referenced else None,
                deparse.check_text(constraint.expression, table.columns,
                pretty=False) if constraint.expression else None,
                bool(constraint.deferrable), constraint.deferrable == "d",
            ))  # fmt: skip
        return arrow(
            "pg_catalog.pg_constraint", varying, rows,
            convalidated=True,
            contypid=0, conparentid=0, conislocal=True, coninhcount=0,
        )  # fmt: skip

    def _pg_index(self) -> pa.Table:
        varying = (
            "indexrelid", "indrelid", "indnatts", "indnkeyatts", "indisunique", "indisprimary", "indkey",
            "indcollation", "indclass", "indoption", "indexprs",
        )  # fmt: skip
        rows: list[tuple[object, ...]] = []
        for key in self.keys:
            kinds = [
                column_type(column.type, column.declared)
                if (column := key.table.column(name))
                else system_types()["text"]
                for name in key.columns
            ]
            expressions = [name for name in key.columns if key.table.column(name) is None]
            rows.append((
                key.oid, oids.object_oid(key.table.id), len(kinds), len(kinds), key.unique,
                key.constraint is not None and key.constraint.kind == "p", numbers(key.table, key.columns),
                [kind.collation for kind in kinds], [self.opclasses.get(_OPCLASS.get(k.name, ""),
                0) for k in kinds],
                [0] * len(kinds), ", ".join(expressions) or None,
            ))  # fmt: skip
        return arrow(
            "pg_catalog.pg_index", varying, rows, indnullsnotdistinct=False, indisexclusion=False,
            indimmediate=True,
            indisclustered=False, indisvalid=True, indcheckxmin=False, indisready=True, indislive=True,
            indisreplident=False,
        )  # fmt: skip

    def _pg_description(self) -> pa.Table:
        rows: list[tuple[object, ...]] = []
        for item in self.relations:
            oid = oids.object_oid(item.id)
            if item.comment is not None:
                rows.append((oid, oids.CLASS_CLASS, 0, item.comment))
            if not isinstance(item, Counter):
                for number, column in enumerate(item.columns, 1):
                    if column.comment is not None:
                        rows.append((oid, oids.CLASS_CLASS, number, column.comment))
        for key in self.keys:
            if (said := key.comment) is not None:
                rows.append((key.oid, oids.CLASS_CLASS, 0, said))
        for oid, _, constraint in self.constraints():
            if constraint.comment is not None:
                rows.append((oid, oids.CLASS_CONSTRAINT, 0, constraint.comment))
        for schema in self.catalog.schemas.values():
            if schema.comment is not None and schema.name != "public":
                rows.append((self.schemas[schema.name], oids.CLASS_NAMESPACE, 0, schema.comment))
        for macro in self.catalog.macros.values():
            if macro.comment is not None:
                rows.append((oids.object_oid(macro.id), oids.CLASS_PROC, 0, macro.comment))
        return arrow("pg_catalog.pg_description", ("objoid", "classoid", "objsubid", "description"), rows)

    def _pg_type(self) -> pa.Table:
        varying = ("oid", "typname", "typnamespace", "typlen", "typtype", "typcategory", "typrelid",
            "typelem",
            "typarray", "typinput", "typoutput", "typreceive", "typsend", "typsubscript",
            "typanalyze")  # fmt: skip
        static = shipped_rows("pg_catalog.pg_proc")
        named = ("record_in", "record_out", "record_recv", "record_send", "array_in", "array_out",
            "array_recv",
            "array_send", "array_subscript_handler", "array_typanalyze")  # fmt: skip
        procs = {
            name: oid
            for name, oid in zip(
                static.column("proname").to_pylist(), static.column("oid").to_pylist(), strict=True
            )
            if name in named
        }
        row_io = tuple(procs[name] for name in named[:4])
        array_io = tuple(procs[name] for name in named[4:])
        rows: list[tuple[object, ...]] = []
        for item in self.readable:
            space, oid = self.schemas[item.schema], oids.row_type_oid(item.id)
            rows.append(
                (oid, item.name, space, -1, "c", "C", oids.object_oid(item.id), 0, oid + 1, *row_io, 0, 0)
            )
            rows.append((oid + 1, ("_" + item.name)[:63], space, -1, "b", "A", 0, oid, 0, *array_io))
        return arrow(
            "pg_catalog.pg_type", varying, rows, typowner=oids.OWNER, typbyval=False, typispreferred=False,
            typisdefined=True, typdelim=",", typmodin=0, typmodout=0, typalign="d", typstorage="x",
            typnotnull=False,
            typbasetype=0, typtypmod=-1, typndims=0, typcollation=0,
        )  # fmt: skip

    def _pg_sequence(self) -> pa.Table:
        rows = [
            (
                oids.object_oid(s.id),
                column_type(s.type, None).oid,
                s.start,
                s.increment,
                s.maximum,
                s.minimum,
                s.cycle,
            )
            for s in self.sequences
        ]
        varying = ("seqrelid", "seqtypid", "seqstart", "seqincrement", "seqmax", "seqmin", "seqcycle")
        return arrow("pg_catalog.pg_sequence", varying, rows, seqcache=1)

    def _pg_rewrite(self) -> pa.Table:
        rows = [(oids.rule_oid(view.id), oids.object_oid(view.id)) for view in self.views]
        return arrow(
            "pg_catalog.pg_rewrite", ("oid", "ev_class"), rows, rulename="_RETURN", ev_type="1",
            ev_enabled="O",
            is_instead=True, ev_qual="", ev_action="",
        )  # fmt: skip

    def _pg_depend(self) -> pa.Table:
        rows: list[tuple[object, ...]] = []
        numbered = {table.id: table for table in self.tables}
        for sequence in self.sequences:
            if sequence.owned_by is not None and (table := numbered.get(sequence.owned_by[0])) is not None:
                for number, column in enumerate(table.columns, 1):
                    if column.id == sequence.owned_by[1]:
                        oid, kind = oids.object_oid(sequence.id), "i" if column.identity else "a"
                        rows.append(
                            (oids.CLASS_CLASS, oid, oids.CLASS_CLASS, oids.object_oid(table.id), number, kind)
                        )
        for position, (oid, _, constraint) in enumerate(self.constraints()):
            del position
            if constraint.kind in "pu":
                index = oid + 0x2000_0000
                rows.append((oids.CLASS_CLASS, index, oids.CLASS_CONSTRAINT, oid, 0, "i"))
        for view in self.views:
            rule, own = oids.rule_oid(view.id), oids.object_oid(view.id)
            rows.append((oids.CLASS_REWRITE, rule, oids.CLASS_CLASS, own, 0, "i"))
            for used, column_numbers in self._used_by(view):
                for number in column_numbers:
                    rows.append((oids.CLASS_REWRITE, rule, oids.CLASS_CLASS, used, number, "n"))
        varying = ("classid", "objid", "refclassid", "refobjid", "refobjsubid", "deptype")
        return arrow("pg_catalog.pg_depend", varying, rows, objsubid=0)

    def _used_by(self, view: View) -> list[tuple[int, list[int]]]:
        """Relations (and their columns) a view's query names."""
        try:
            tree = sqlglot.parse_one(view.sql, read="duckdb")
        except sqlglot.errors.SqlglotError:
            return []
        names = {column.name.lower() for column in tree.find_all(exp.Column)}
        everything = tree.find(exp.Star) is not None
        found = []
        for place in {(table.db or "public", table.name) for table in tree.find_all(exp.Table)}:
            relation = self.catalog.find(*place)
            if isinstance(relation, (Table, View)):
                used = [n for n, c in enumerate(relation.columns, 1) if everything or c.name.lower() in names]
                found.append((oids.object_oid(relation.id), used or [0]))
        return found

    def _pg_proc(self) -> pa.Table:
        rows: list[tuple[object, ...]] = []
        for macro in self.catalog.macros.values():
            count = len(macro.parameters)
            rows.append((
                oids.object_oid(macro.id), macro.name, self.schemas.get(macro.schema, oids.PUBLIC), count,
                [25] * count,
                list(macro.parameters) or None, macro.body, macro.is_table,
            ))  # fmt: skip
        varying = (
            "oid",
            "proname",
            "pronamespace",
            "pronargs",
            "proargtypes",
            "proargnames",
            "prosrc",
            "proretset",
        )
        return arrow(
            "pg_catalog.pg_proc", varying, rows, proowner=oids.OWNER, prolang=14, procost=100.0, prorows=0.0,
            provariadic=0, prosupport=0, prokind="f", prosecdef=False, proleakproof=False, proisstrict=False,
            provolatile="v", proparallel="u", pronargdefaults=0, prorettype=25,
        )  # fmt: skip


def _has_default(column: Column) -> bool:
    """Whether pg_attrdef has a row for the column: identity and a default of NULL are none."""
    return column.generated is not None or (not column.identity and deparse.has_default(column.default))
