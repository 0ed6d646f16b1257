"""The objects of one branch as rows of information_schema.

Catalog columns (``table_catalog`` and its kin) are NULL here; the database's name is put in when a statement
is rewritten, so that sessions under different database names share the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from branching.model import Constraint, Table
from branching.model import Sequence as Counter
from branching.names import SHOWN_TEMPORARY_SCHEMA
from proxy.catalog import deparse, oids
from proxy.catalog.contents import expression_columns
from proxy.catalog.objects import Snapshot, arrow
from proxy.catalog.typenames import PgType, column_type

_RULES = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_KINDS = {"p": "PRIMARY KEY", "u": "UNIQUE", "c": "CHECK", "f": "FOREIGN KEY"}
_PRIVILEGES = ("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_NUMERIC = {
    "int2": (16, 2, 0),
    "int4": (32, 2, 0),
    "int8": (64, 2, 0),
    "float4": (24, 2, None),
    "float8": (53, 2, None),
}
_I = "information_schema."


def tables(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = []
    for table in snapshot.tables:
        kind = "LOCAL TEMPORARY" if table.schema == SHOWN_TEMPORARY_SCHEMA else "BASE TABLE"
        rows.append((table.schema, table.name, kind, "YES"))
    rows += [
        (view.schema, view.name, "VIEW", "YES" if deparse.updatable(view) else "NO")
        for view in snapshot.views
    ]
    varying = ("table_schema", "table_name", "table_type", "is_insertable_into")
    return arrow(_I + "tables", varying, rows, is_typed="NO")


def schemata(snapshot: Snapshot, owner: str) -> pa.Table:
    static = {"pg_catalog", "information_schema", "pg_toast", "public"}
    rows = [(name,) for name in snapshot.schemas if name not in static]
    return arrow(_I + "schemata", ("schema_name",), rows, schema_owner=owner)


def views(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [(view.schema, view.name, deparse.view_text(view)) for view in snapshot.views]
    no = dict.fromkeys(
        ("is_updatable", "is_insertable_into", "is_trigger_updatable", "is_trigger_deletable",
         "is_trigger_insertable_into"), "NO"
    )  # fmt: skip
    varying = ("table_schema", "table_name", "view_definition")
    return arrow(_I + "views", varying, rows, check_option="NONE", **no)


def _limits(kind: PgType) -> tuple[object, ...]:
    """Lengths, precisions and scales of a column as the standard names them."""
    length = octets = precision = radix = scale = moment = None
    if kind.name in ("varchar", "bpchar", "text"):
        length = kind.modifier - 4 if kind.modifier >= 0 else None
        octets = length * 4 if length is not None else 1 << 30
    elif kind.name in _NUMERIC:
        precision, radix, scale = _NUMERIC[kind.name]
    elif kind.name == "numeric":
        radix = 10
        if kind.modifier >= 0:
            precision, scale = (kind.modifier - 4) >> 16 & 0xFFFF, (kind.modifier - 4) & 0x7FF
    elif kind.name == "date":
        moment = 0
    elif kind.name in ("timestamp", "timestamptz", "time", "timetz", "interval"):
        moment = kind.modifier if kind.modifier >= 0 else 6
    return length, octets, precision, radix, scale, moment


def _identity(sequence: Counter | None) -> tuple[object, ...]:
    """Start, increment, maximum, minimum and cycle of an identity column's counter."""
    if sequence is None:
        return (None, None, None, None, "NO")
    numbers = (sequence.start, sequence.increment, sequence.maximum, sequence.minimum)
    return (*map(str, numbers), "YES" if sequence.cycle else "NO")


def columns(snapshot: Snapshot, owner: str) -> pa.Table:
    varying = (
        "table_schema", "table_name", "column_name", "ordinal_position", "column_default", "is_nullable",
        "data_type",
        "udt_name", "dtd_identifier", "character_maximum_length", "character_octet_length",
        "numeric_precision",
        "numeric_precision_radix", "numeric_scale", "datetime_precision", "is_identity",
        "identity_generation",
        "is_generated", "generation_expression", "is_updatable", "identity_start", "identity_increment",
        "identity_maximum", "identity_minimum", "identity_cycle",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    owned = {sequence.owned_by: sequence for sequence in snapshot.sequences}
    for relation in snapshot.readable:
        updatable = "YES" if isinstance(relation, Table) or deparse.updatable(relation) else "NO"
        for number, column in enumerate(relation.columns, 1):
            kind = column_type(column.type, column.declared)
            default = expression = None
            if column.generated is not None:
                expression = deparse.default_text(column.generated, column.type, column.declared)
            elif column.default is not None and deparse.has_default(column.default) and not column.identity:
                default = deparse.default_text(column.default, column.type, column.declared)
            rows.append((
                relation.schema, relation.name, column.name, number, default,
                "NO" if column.not_null else "YES",
                "ARRAY" if kind.name.startswith("_") else kind.formatted, kind.name, str(number),
                *_limits(kind),
                "YES" if column.identity else "NO", {"a": "ALWAYS", "d": "BY DEFAULT"}.get(column.identity),
                "ALWAYS" if expression is not None else "NEVER", expression, updatable,
                *_identity(owned.get((relation.id, column.id)) if column.identity else None),
            ))  # fmt: skip
    return arrow(_I + "columns", varying, rows, udt_schema="pg_catalog", is_self_referencing="NO")


def _constraints(snapshot: Snapshot) -> Iterator[tuple[Table, Constraint]]:
    for _, table, constraint in snapshot.constraints():
        yield table, constraint


def _not_nulls(snapshot: Snapshot) -> Iterator[tuple[Table, str, str]]:
    """Postgres 15 lists NOT NULL as check constraints with made-up names."""
    for table in snapshot.tables:
        space, oid = snapshot.schemas[table.schema], oids.object_oid(table.id)
        for number, column in enumerate(table.columns, 1):
            if column.not_null:
                yield table, f"{space}_{oid}_{number}_not_null", column.name


def table_constraints(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (
            t.schema,
            c.name,
            t.schema,
            t.name,
            _KINDS[c.kind],
            "YES" if c.kind == "u" else None,
            "YES" if c.deferrable else "NO",
            "YES" if c.deferrable == "d" else "NO",
        )
        for t, c in _constraints(snapshot)
    ]
    rows += [
        (t.schema, name, t.schema, t.name, "CHECK", None, "NO", "NO") for t, name, _ in _not_nulls(snapshot)
    ]
    varying = ("constraint_schema", "constraint_name", "table_schema", "table_name", "constraint_type",
        "nulls_distinct", "is_deferrable", "initially_deferred")  # fmt: skip
    return arrow(_I + "table_constraints", varying, rows, enforced="YES")


def _referenced(snapshot: Snapshot, table: Table, constraint: Constraint) -> Table | None:
    found = snapshot.catalog.find(constraint.ref_schema or table.schema, constraint.ref_table or "")
    return found if isinstance(found, Table) else None


def key_column_usage(snapshot: Snapshot, owner: str) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    for table, constraint in _constraints(snapshot):
        if constraint.kind == "c":
            continue
        target = _referenced(snapshot, table, constraint) if constraint.kind == "f" else None
        unique = _unique_key(target, constraint) if target else None
        for number, name in enumerate(constraint.columns, 1):
            place = None
            if unique is not None:
                place = unique.columns.index(constraint.ref_columns[number - 1]) + 1
            rows.append((table.schema, constraint.name, table.schema, table.name, name, number, place))
    varying = ("constraint_schema", "constraint_name", "table_schema", "table_name", "column_name",
        "ordinal_position", "position_in_unique_constraint")  # fmt: skip
    return arrow(_I + "key_column_usage", varying, rows)


def _unique_key(table: Table, constraint: Constraint) -> Constraint | None:
    wanted = set(constraint.ref_columns)
    return next((c for c in table.constraints if c.kind in "pu" and set(c.columns) == wanted), None)


def constraint_column_usage(snapshot: Snapshot, owner: str) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    for table, constraint in _constraints(snapshot):
        target = _referenced(snapshot, table, constraint) if constraint.kind == "f" else table
        names = constraint.ref_columns if constraint.kind == "f" else constraint.columns
        if constraint.kind == "c" and not names:
            names = expression_columns(constraint.expression, table)
        if target is not None:
            for name in names:
                rows.append((target.schema, target.name, name, table.schema, constraint.name))
    varying = ("table_schema", "table_name", "column_name", "constraint_schema", "constraint_name")
    return arrow(_I + "constraint_column_usage", varying, rows)


def constraint_table_usage(snapshot: Snapshot, owner: str) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    for table, constraint in _constraints(snapshot):
        target = _referenced(snapshot, table, constraint) if constraint.kind == "f" else table
        if target is not None and constraint.kind != "c":
            rows.append((target.schema, target.name, table.schema, constraint.name))
    varying = ("table_schema", "table_name", "constraint_schema", "constraint_name")
    return arrow(_I + "constraint_table_usage", varying, rows)


def referential_constraints(snapshot: Snapshot, owner: str) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    for table, constraint in _constraints(snapshot):
        if constraint.kind == "f":
            target = _referenced(snapshot, table, constraint)
            unique = _unique_key(target, constraint) if target else None
            rows.append((
                table.schema, constraint.name, target.schema if target and unique else None,
                unique.name if unique else None, _RULES[constraint.on_update], _RULES[constraint.on_delete],
            ))  # fmt: skip
    varying = ("constraint_schema", "constraint_name", "unique_constraint_schema", "unique_constraint_name",
        "update_rule", "delete_rule")  # fmt: skip
    return arrow(_I + "referential_constraints", varying, rows, match_option="NONE")


def check_constraints(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = []
    for table, constraint in _constraints(snapshot):
        if constraint.kind == "c":
            text = deparse.constraint_text(table, constraint, pretty=False)
            rows.append((table.schema, constraint.name, text.removeprefix("CHECK ")))
    rows += [
        (t.schema, name, f"{deparse.quoted(column)} IS NOT NULL") for t, name, column in _not_nulls(snapshot)
    ]
    return arrow(_I + "check_constraints", ("constraint_schema", "constraint_name", "check_clause"), rows)


def sequences(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = []
    tables = {table.id: table for table in snapshot.tables}
    for item in snapshot.sequences:
        owner_table = tables.get(item.owned_by[0]) if item.owned_by else None
        if owner_table and any(
            c.identity and item.owned_by == (owner_table.id, c.id) for c in owner_table.columns
        ):
            continue  # the counter of an identity column is part of the column
        kind = column_type(item.type, None)
        bits = _NUMERIC.get(kind.name, (64, 2, 0))[0]
        rows.append((
            item.schema, item.name, kind.formatted, bits, str(item.start), str(item.minimum),
            str(item.maximum),
            str(item.increment), "YES" if item.cycle else "NO",
        ))  # fmt: skip
    varying = ("sequence_schema", "sequence_name", "data_type", "numeric_precision", "start_value",
        "minimum_value",
        "maximum_value", "increment", "cycle_option")  # fmt: skip
    return arrow(_I + "sequences", varying, rows, numeric_precision_radix=2, numeric_scale=0)


def _privileges(name: str) -> Callable[[Snapshot, str], pa.Table]:
    def rows(snapshot: Snapshot, owner: str) -> pa.Table:
        found = [
            (relation.schema, relation.name, privilege, "YES" if privilege == "SELECT" else "NO")
            for relation in snapshot.readable
            for privilege in _PRIVILEGES
        ]
        varying = ("table_schema", "table_name", "privilege_type", "with_hierarchy")
        return arrow(_I + name, varying, found, grantor=owner, grantee=owner, is_grantable="YES")

    return rows


def column_privileges(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (relation.schema, relation.name, column.name, privilege)
        for relation in snapshot.readable
        for column in relation.columns
        for privilege in ("INSERT", "SELECT", "UPDATE", "REFERENCES")
    ]
    varying = ("table_schema", "table_name", "column_name", "privilege_type")
    return arrow(_I + "column_privileges", varying, rows, grantor=owner, grantee=owner, is_grantable="YES")


def element_types(snapshot: Snapshot, owner: str) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    for relation in snapshot.readable:
        for number, column in enumerate(relation.columns, 1):
            kind = column_type(column.type, column.declared)
            if kind.name.startswith("_"):
                text = kind.formatted.removesuffix("[]")
                rows.append((relation.schema, relation.name, str(number), text, kind.name[1:]))
    varying = ("object_schema", "object_name", "collection_type_identifier", "data_type", "udt_name")
    fixed = {"object_type": "TABLE", "udt_schema": "pg_catalog"}
    table = arrow(_I + "element_types", varying, rows, **fixed)
    position = table.schema.get_field_index("dtd_identifier")
    identifiers = pa.array([f"a{row[2]}" for row in rows], pa.string())
    return table.set_column(position, "dtd_identifier", identifiers)


def routines(snapshot: Snapshot, owner: str) -> pa.Table:
    rows = [
        (macro.schema, f"{macro.name}_{oids.object_oid(macro.id)}", macro.schema, macro.name, macro.body)
        for macro in snapshot.catalog.macros.values()
    ]
    varying = ("specific_schema", "specific_name", "routine_schema", "routine_name", "routine_definition")
    return arrow(
        _I + "routines", varying, rows, routine_type="FUNCTION", data_type="text",
        type_udt_schema="pg_catalog",
        type_udt_name="text", routine_body="EXTERNAL", external_language="SQL", is_deterministic="NO",
        sql_data_access="MODIFIES", is_null_call="NO", security_type="INVOKER",
    )  # fmt: skip


VIEWS: dict[str, Callable[[Snapshot, str], pa.Table]] = {
    _I + "tables": tables,
    _I + "schemata": schemata,
    _I + "views": views,
    _I + "columns": columns,
    _I + "table_constraints": table_constraints,
    _I + "key_column_usage": key_column_usage,
    _I + "constraint_column_usage": constraint_column_usage,
    _I + "constraint_table_usage": constraint_table_usage,
    _I + "referential_constraints": referential_constraints,
    _I + "check_constraints": check_constraints,
    _I + "sequences": sequences,
    _I + "table_privileges": _privileges("table_privileges"),
    _I + "role_table_grants": _privileges("role_table_grants"),
    _I + "column_privileges": column_privileges,
    _I + "element_types": element_types,
    _I + "routines": routines,
}
