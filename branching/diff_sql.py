"""A branch's schema changes described, and all its changes as statements that turn the base into the branch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from branching import ddl_model as d
from branching import names
from branching.diff import Comparison, Pair, SchemaDiff, comparison
from branching.merge_schema import Step, alterations
from branching.merge_values import any_of, distinct, lifted
from branching.model import Catalog, Column, Constraint, Index, Macro, Sequence, Table, View
from branching.names import RID, quote
from branching.resolve import DIALECT

if TYPE_CHECKING:
    from branching.connection import Connection


def schema(
    connection: Connection, branch: str, against: str | None = None, *, direct: bool = False
) -> list[SchemaDiff]:
    """What differs in definitions: tables, columns, constraints, indexes, views, macros, sequences."""
    with comparison(connection.database, branch, against, direct=direct) as compared:
        found: list[SchemaDiff] = []
        for pair in compared.pairs():
            found += _table(pair)
        found += _objects(compared)
    return found


def _table(pair: Pair) -> Iterator[SchemaDiff]:
    before, after, shown = pair.before, pair.after, pair.shown
    if before is None or after is None:
        change = "added" if before is None else "removed"
        texts = (create_sql(before) if before else None, create_sql(after) if after else None)
        yield SchemaDiff(shown.schema, shown.name, "table", change, *texts)
        return
    if (before.schema, before.name) != (after.schema, after.name):
        yield SchemaDiff(after.schema, after.name, "table", "renamed", _full(before), _full(after))
    for what, old, new in (
        (
            "column",
            {c.id: (c.name, _column(c)) for c in before.columns},
            {c.id: (c.name, _column(c)) for c in after.columns},
        ),
        ("constraint", _constraints(before), _constraints(after)),
        ("index", _indexes(before), _indexes(after)),
    ):
        for key in dict.fromkeys([*old, *new]):
            left, right = old.get(key), new.get(key)
            if left == right:
                continue
            change = "added" if left is None else "removed" if right is None else "changed"
            if left is not None and right is not None and left[0] != right[0]:
                change = "renamed"
            name = right[0] if right is not None else left[0] if left is not None else ""
            yield SchemaDiff(
                after.schema, after.name, f"{what} {name}", change, left and left[1], right and right[1]
            )


def _full(table: Table) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"


def _column(column: Column) -> str:
    text = f"{quote(column.name)} {column.declared or column.type}"
    if column.generated is not None:
        return f"{text} GENERATED ALWAYS AS ({column.generated}) STORED"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    return text + (" NOT NULL" if column.not_null else "")


def _constraints(table: Table) -> dict[str, tuple[str, str]]:
    return {item.name: (item.name, constraint_text(item)) for item in table.constraints}


def _indexes(table: Table) -> dict[int, tuple[str, str]]:
    return {item.id: (item.name, index_text(table, item)) for item in table.indexes}


def constraint_text(item: Constraint) -> str:
    head = f"CONSTRAINT {quote(item.name)} "
    listed = names.columns(item.columns)
    if item.kind == "c":
        return f"{head}CHECK ({item.expression})"
    if item.kind == "f":
        actions = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
        text = (
            f"{head}FOREIGN KEY ({listed}) REFERENCES {quote(item.ref_schema or 'public')}."
            f"{quote(item.ref_table or '')} ({names.columns(item.ref_columns)})"
        )
        if item.on_delete in actions:
            text += f" ON DELETE {actions[item.on_delete]}"
        return text
    return f"{head}{'PRIMARY KEY' if item.kind == 'p' else 'UNIQUE'} ({listed})"


def index_text(table: Table, item: Index) -> str:
    known = {column.name for column in table.columns}
    columns = ", ".join(quote(text) if text in known else f"({text})" for text in item.columns)
    return f"CREATE {'UNIQUE ' if item.unique else ''}INDEX {quote(item.name)} ON {_full(table)} ({columns})"


def create_sql(table: Table) -> str:
    items = [_column(column) for column in table.columns] + [constraint_text(c) for c in table.constraints]
    return f"CREATE TABLE {_full(table)} ({', '.join(items)})"


def _objects(compared: Comparison) -> Iterator[SchemaDiff]:
    before: dict[tuple[str, str, str], object] = _named(compared.before)
    after = _named(compared.after)
    for key in dict.fromkeys([*before, *after]):
        left, right = before.get(key), after.get(key)
        item = right or left
        if left == right or not isinstance(item, View | Sequence | Macro):
            continue
        change = "added" if left is None else "removed" if right is None else "changed"
        yield SchemaDiff(
            key[1], key[2], type(item).__name__.lower(), change, _object_sql(left), _object_sql(right)
        )


def _named(catalog: Catalog) -> dict[tuple[str, str, str], object]:
    """Relations and macros, which have names of their own each."""
    found: dict[tuple[str, str, str], object] = {("", *key): item for key, item in catalog.relations.items()}
    return found | {("macro", *key): item for key, item in catalog.macros.items()}


def _object_sql(item: object) -> str | None:
    if isinstance(item, View):
        return f"CREATE OR REPLACE VIEW {quote(item.schema)}.{quote(item.name)} AS {item.sql}"
    if isinstance(item, Macro):
        body = f"TABLE {item.body}" if item.is_table else item.body
        parameters = ", ".join(quote(name) for name in item.parameters)
        return f"CREATE OR REPLACE MACRO {quote(item.schema)}.{quote(item.name)}({parameters}) AS {body}"
    if isinstance(item, Sequence):
        return (
            f"CREATE SEQUENCE {quote(item.schema)}.{quote(item.name)} AS {item.type} INCREMENT BY {item.increment}"
            f" MINVALUE {item.minimum} MAXVALUE {item.maximum} START WITH {item.start}"
            f"{' CYCLE' if item.cycle else ''}"
        )
    return None


# -- statements -----------------------------------------------------------------------------------------------------


def sql(
    connection: Connection, branch: str, against: str | None = None, *, direct: bool = False
) -> list[str]:
    """Statements that, run on the base, make it what the branch is."""
    with comparison(connection.database, branch, against, direct=direct) as compared:
        return [text + ";" for text in _statements(compared)]


def _statements(compared: Comparison) -> Iterator[str]:
    before, after = compared.before, compared.after
    for name in after.schemas:
        if name not in before.schemas:
            yield f"CREATE SCHEMA {quote(name)}"
    objects = list(_objects(compared))
    for item in objects:
        if item.object == "view" and item.change != "added":
            yield f"DROP VIEW {quote(item.schema)}.{quote(item.table)}"
        if item.object == "macro" and item.change == "removed":
            yield f"DROP MACRO {quote(item.schema)}.{quote(item.table)} CASCADE"
        if item.object == "sequence" and item.change == "added":
            yield item.to_definition or ""
    pairs = compared.pairs()
    for pair in pairs:
        if pair.after is None and pair.before is not None:
            yield f"DROP TABLE {_full(pair.before)} CASCADE"
    for pair in pairs:
        if pair.after is not None:
            yield from _table_statements(compared, pair)
    yield from (
        item.to_definition or "" for item in objects if item.object == "macro" and item.change != "removed"
    )
    for item in objects:
        if item.object == "view" and item.change != "removed":
            yield item.to_definition or ""
        if item.object == "sequence" and item.change == "removed":
            yield f"DROP SEQUENCE {quote(item.schema)}.{quote(item.table)}"


def _table_statements(compared: Comparison, pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    assert after is not None
    if before is None:
        yield create_sql(after)
        for index in after.indexes:
            yield index_text(after, index)
    elif replace(before, storage=after.storage) != after:
        current = before
        for step in alterations(before, after, (after,)):
            yield step_sql(current, step)
            if isinstance(step.action, d.SetSchema):
                current = replace(current, schema=step.action.schema)
            elif isinstance(step.action, d.RenameTable):
                current = replace(current, name=step.action.to)
    if compared.may_differ(pair):
        yield from _row_statements(compared, pair, after)


def step_sql(table: Table, step: Step) -> str:
    """One schema change as a statement."""
    action = step.action
    head = f"ALTER TABLE {_full(table)} "
    if isinstance(action, d.AddColumn):
        return f"{head}ADD COLUMN {action.column.sql(DIALECT)}"
    if isinstance(action, d.DropColumn):
        return f"{head}DROP COLUMN {quote(action.column)}"
    if isinstance(action, d.RenameColumn):
        return f"{head}RENAME COLUMN {quote(action.column)} TO {quote(action.to)}"
    if isinstance(action, d.AlterType):
        using = f" USING {action.using.sql(DIALECT)}" if action.using is not None else ""
        kind = action.declared or action.type.sql(DIALECT)
        return f"{head}ALTER COLUMN {quote(action.column)} TYPE {kind}{using}"
    if isinstance(action, d.SetDefault):
        return f"{head}ALTER COLUMN {quote(action.column)} SET DEFAULT {action.default.sql(DIALECT)}"
    if isinstance(action, d.DropDefault | d.SetNotNull | d.DropNotNull):
        verb = {d.DropDefault: "DROP DEFAULT", d.SetNotNull: "SET NOT NULL", d.DropNotNull: "DROP NOT NULL"}
        return f"{head}ALTER COLUMN {quote(action.column)} {verb[type(action)]}"
    if isinstance(action, d.AddConstraint):
        return f"{head}ADD {constraint_text(_constraint(action.constraint))}"
    if isinstance(action, d.DropConstraint):
        return f"{head}DROP CONSTRAINT {quote(action.constraint)}"
    if isinstance(action, d.RenameTable):
        return f"{head}RENAME TO {quote(action.to)}"
    if isinstance(action, d.SetSchema):
        return f"{head}SET SCHEMA {quote(action.schema)}"
    if isinstance(action, d.Drop):
        return f"DROP INDEX {quote(table.schema)}.{quote(action.names[0].name)}"
    if step.index is not None:
        return index_text(table, step.index)
    raise ValueError(f"no statement for {action}")


def _constraint(definition: d.ConstraintDefinition) -> Constraint:
    references = definition.references
    return Constraint(
        definition.name or "",
        definition.kind,
        definition.columns,
        definition.expression.sql(DIALECT) if isinstance(definition.expression, exp.Expr) else None,
        references.schema if references else None,
        references.name if references else None,
        definition.ref_columns,
        definition.on_delete,
        definition.on_update,
    )


def _row_statements(compared: Comparison, pair: Pair, after: Table) -> Iterator[str]:
    """DELETEs, then UPDATEs, then INSERTs; in a table without a key a change is a delete and an insert."""
    columns = [column for column in after.columns if column.generated is None]
    rows = compared.rows(pair)
    old = [
        _literal(lifted(pair.before, c, "_b", (after,)) if pair.before else f"CAST(NULL AS {c.type})", c)
        for c in columns
    ]
    new = [_literal(f"_s.{quote(c.name)}", c) for c in columns]
    gone = "false" if pair.before is None else f"_b.{RID} IS NOT NULL"
    differs = (
        [distinct(lifted(pair.before, c, "_b", (after,)), f"_s.{quote(c.name)}") for c in columns]
        if pair.before
        else ["true"]
    )
    found = compared.cursor.query(
        f"SELECT {gone}, _s.{RID} IS NOT NULL, {', '.join([*old, *new])}"
        f" FROM (SELECT DISTINCT {RID} FROM ({rows.rids}) AS _all) AS _rids"
        f" LEFT JOIN ({rows.base}) AS _b ON _b.{RID} = _rids.{RID}"
        f" LEFT JOIN ({rows.source}) AS _s ON _s.{RID} = _rids.{RID}"
        f" WHERE ({gone}) <> (_s.{RID} IS NOT NULL) OR (({gone}) AND {any_of(differs)}) ORDER BY _rids.{RID}"
    )
    width = len(columns)
    key = [i for i, c in enumerate(columns) if c.name in after.key]
    deletes, updates, inserts = [], [], []
    for was, there, *values in found:
        before, now = values[:width], values[width:]
        if was and there and key:
            changed = [i for i in range(width) if before[i] != now[i]]
            assigned = ", ".join(f"{quote(columns[i].name)} = {now[i]}" for i in changed)
            updates.append(f"UPDATE {_full(after)} SET {assigned} WHERE {_where(columns, before, key)}")
            continue
        if was and key:
            deletes.append(f"DELETE FROM {_full(after)} WHERE {_where(columns, before, key)}")
        elif was:
            deletes += _delete_one(compared, pair, columns, before)
        if there:
            listed = names.columns([c.name for c in columns])
            inserts.append(f"INSERT INTO {_full(after)} ({listed}) VALUES ({', '.join(now)})")
    yield from deletes
    yield from updates
    yield from inserts


def _literal(value: str, column: Column) -> str:
    """SQL that gives a value as the text of a literal."""
    quoted = f"'''' || replace(CAST({value} AS VARCHAR), '''', '''''') || ''''"
    kind = column.type.replace("'", "''")
    return f"CASE WHEN {value} IS NULL THEN 'NULL' ELSE 'CAST(' || {quoted} || ' AS {kind})' END"


def _where(columns: list[Column], values: list[str], which: list[int]) -> str:
    return " AND ".join(f"{quote(columns[i].name)} = {values[i]}" for i in which)


def _delete_one(compared: Comparison, pair: Pair, columns: list[Column], values: list[str]) -> list[str]:
    """Deletes one of the rows that are equal in all cells: all of them, and the others are put back."""
    after = pair.shown
    same = " AND ".join(
        f"{quote(c.name)} IS NOT DISTINCT FROM {value}" for c, value in zip(columns, values, strict=True)
    )
    listed = names.columns([c.name for c in columns])
    copies = f"SELECT {', '.join(values)} FROM generate_series(2, (SELECT count(*) FROM {_full(after)} WHERE {same}))"
    # The copies are inserted first, marked by nothing: so count, delete, put back, in one statement each.
    return [
        f"CREATE TEMP TABLE _equal_rows AS {copies} AS _copies",
        f"DELETE FROM {_full(after)} WHERE {same}",
        f"INSERT INTO {_full(after)} ({listed}) SELECT * FROM _equal_rows",
        "DROP TABLE _equal_rows",
    ]


__all__ = ["create_sql", "schema", "sql"]
