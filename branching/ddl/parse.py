"""CREATE TABLE trees to model values: columns, constraints, sequences, named as Postgres names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlglot import exp

from branching import names
from branching.ddl.model import ConstraintDefinition, Name, SequenceOptions
from branching.errors import BoughError
from branching.model import Column, Constraint
from branching.resolve import DIALECT, table_name

Action = Literal["a", "r", "c", "n", "d"]
_ACTIONS: dict[str, Action] = {
    "NO ACTION": "a",
    "RESTRICT": "r",
    "CASCADE": "c",
    "SET NULL": "n",
    "SET DEFAULT": "d",
}


@dataclass(slots=True)
class ParsedColumn:
    column: Column
    sequence: SequenceOptions | None = None
    constraints: list[ConstraintDefinition] = field(default_factory=list)


@dataclass(slots=True)
class ParsedTable:
    columns: list[ParsedColumn] = field(default_factory=list)
    constraints: list[ConstraintDefinition] = field(default_factory=list)


def parse_columns(items: list[exp.Expr], next_id: Callable[[], int]) -> ParsedTable:
    """The column and constraint definitions between the parentheses of a CREATE TABLE."""
    parsed = ParsedTable()
    for item in items:
        if isinstance(item, exp.ColumnDef):
            column = parse_column(item, next_id)
            parsed.columns.append(column)
            parsed.constraints += column.constraints
        else:
            parsed.constraints += _table_constraints(item)
    seen: set[str] = set()
    for entry in parsed.columns:
        name = entry.column.name
        if name.lower() in seen:
            raise BoughError("42701", f'column "{name}" specified more than once', column=name)
        seen.add(name.lower())
        if name.lower().startswith(names.HIDDEN_PREFIX):
            raise BoughError("42939", f'column name "{name}" is reserved')
    return parsed


def parse_column(item: exp.ColumnDef, next_id: Callable[[], int]) -> ParsedColumn:
    name = item.name
    kind = item.args.get("kind")
    meta = item.meta
    column = Column(
        id=next_id(),
        name=name,
        type=kind.sql(DIALECT) if kind is not None else "VARCHAR",
        declared=meta.get("declared"),
    )
    parsed = ParsedColumn(column)
    identity = meta.get("identity")
    if identity:
        parsed.sequence = meta.get("sequence") or SequenceOptions()
        column = replace(column, not_null=True, identity="" if identity == "serial" else identity)
    for constraint in item.args.get("constraints") or ():
        column = _column_constraint(column, constraint, parsed)
    parsed.column = column
    return parsed


def _column_constraint(column: Column, item: exp.Expr, parsed: ParsedColumn) -> Column:
    kind = item.args.get("kind") if isinstance(item, exp.ColumnConstraint) else item
    name = item.this.name if isinstance(item, exp.ColumnConstraint) and item.this is not None else None
    if isinstance(kind, exp.NotNullColumnConstraint):
        return replace(column, not_null=not kind.args.get("allow_null"))
    if isinstance(kind, exp.DefaultColumnConstraint):
        return replace(column, default=kind.this.sql(DIALECT))
    if isinstance(kind, exp.PrimaryKeyColumnConstraint):
        parsed.constraints.append(ConstraintDefinition("p", name, (column.name,)))
        return replace(column, not_null=True)
    if isinstance(kind, exp.UniqueColumnConstraint):
        parsed.constraints.append(ConstraintDefinition("u", name, (column.name,)))
        return column
    if isinstance(kind, exp.CheckColumnConstraint):
        parsed.constraints.append(ConstraintDefinition("c", name, (column.name,), expression=kind.this))
        return column
    if isinstance(kind, exp.Reference):
        parsed.constraints.append(_reference(kind, name, (column.name,)))
        return column
    if isinstance(kind, exp.ComputedColumnConstraint):
        expression = kind.this
        return replace(column, generated=_unwrap(expression).sql(DIALECT))
    if isinstance(kind, exp.GeneratedAsRowColumnConstraint | exp.GeneratedAsIdentityColumnConstraint):
        expression = kind.args.get("expression")
        if expression is not None:
            return replace(column, generated=_unwrap(expression).sql(DIALECT))
        parsed.sequence = parsed.sequence or SequenceOptions()
        return replace(column, not_null=True, identity="a" if kind.this else "d")
    if isinstance(kind, exp.CommentColumnConstraint):
        return replace(column, comment=kind.this.name)
    if isinstance(kind, exp.CollateColumnConstraint):
        return column
    raise BoughError(
        "0A000", f'this constraint of column "{column.name}" is not supported', detail=item.sql(DIALECT)
    )


def _unwrap(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _table_constraints(item: exp.Expr, name: str | None = None) -> Iterator[ConstraintDefinition]:
    if isinstance(item, exp.Constraint):
        for inner in item.expressions:
            yield from _table_constraints(inner, item.name)
    elif isinstance(item, exp.PrimaryKey):
        yield ConstraintDefinition("p", name, _column_names(item.expressions))
    elif isinstance(item, exp.UniqueColumnConstraint):
        schema = item.this
        yield ConstraintDefinition("u", name, _column_names(schema.expressions if schema else []))
    elif isinstance(item, exp.CheckColumnConstraint):
        yield ConstraintDefinition("c", name, expression=item.this)
    elif isinstance(item, exp.ForeignKey):
        reference = item.args["reference"]
        yield _reference(reference, name, _column_names(item.expressions), item)
    else:
        raise BoughError("0A000", "this table constraint is not supported", detail=item.sql(DIALECT))


def _column_names(items: list[exp.Expr]) -> tuple[str, ...]:
    return tuple(item.name for item in items)


def _reference(
    item: exp.Reference, name: str | None, columns: tuple[str, ...], holder: exp.Expr | None = None
) -> ConstraintDefinition:
    target = item.this
    ref_columns: tuple[str, ...] = ()
    if isinstance(target, exp.Schema):
        ref_columns = _column_names(target.expressions)
        target = target.this
    on_delete: Action = "a"
    on_update: Action = "a"
    options = [str(option).upper() for option in item.args.get("options") or ()]
    if holder is not None:
        options += [
            f"ON {key.upper()} {str(holder.args[key]).upper()}"
            for key in ("delete", "update")
            if holder.args.get(key)
        ]
    deferrable: Literal["", "i", "d"] = ""
    for option in options:
        if option == "INITIALLY DEFERRED":
            deferrable = "d"
        elif option == "DEFERRABLE":
            deferrable = deferrable or "i"
        for text, code in _ACTIONS.items():
            if option == f"ON DELETE {text}":
                on_delete = code
            elif option == f"ON UPDATE {text}":
                on_update = code
    return ConstraintDefinition(
        "f",
        name,
        columns,
        references=table_name(target) if isinstance(target, exp.Table) else Name(target.name),
        ref_columns=ref_columns,
        on_delete=on_delete,
        on_update=on_update,
        deferrable=deferrable,
    )


def named(
    definition: ConstraintDefinition,
    table: str,
    taken: set[str],
    resolve: Callable[[Name], tuple[str, str, tuple[str, ...]]],
) -> Constraint:
    """The constraint with a name (Postgres' choice where the user gave none). ``resolve``: (schema, table, key)."""
    suffix = {"p": "pkey", "u": "key", "c": "check", "f": "fkey"}[definition.kind]
    columns = definition.columns
    if definition.kind == "c" and not columns and definition.expression is not None:
        used = list(dict.fromkeys(column.name for column in definition.expression.find_all(exp.Column)))
        columns = tuple(used) if len(used) == 1 else ()
    middle = "_".join(columns) if definition.kind != "p" else ""
    wanted = definition.name or "_".join(part for part in (table, middle, suffix) if part)
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}{number}"
    if definition.name and number:
        raise BoughError("42710", f'constraint "{wanted}" for relation "{table}" already exists')
    taken.add(name)
    constraint = Constraint(
        name,
        definition.kind,
        definition.columns,
        definition.expression.sql(DIALECT) if definition.expression is not None else None,
        on_delete=definition.on_delete,
        on_update=definition.on_update,
        deferrable=definition.deferrable,
    )
    if definition.references is not None:
        schema, other, key = resolve(definition.references)
        ref_columns = definition.ref_columns or key
        if len(ref_columns) != len(definition.columns):
            raise BoughError(
                "42830",
                f'there is no primary key for referenced table "{other}"'
                if not ref_columns
                else "number of referencing and referenced columns for foreign key disagree",
            )
        constraint = replace(constraint, ref_schema=schema, ref_table=other, ref_columns=ref_columns)
    return constraint
