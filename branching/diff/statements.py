"""All changes of a branch as statements that turn the base into the branch, in an order in which each of them succeeds.

1. Views go first and come last, with all that read a table or view which changes.
2. Foreign keys of tables whose rows differ are dropped before the rows and made again after them: no order of rows is
   right for all. What else is asked of new columns (NOT NULL, keys, checks) is asked when they are filled.
3. Rows between the two (``diff.row_statements``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import names
from branching.ddl import model as d
from branching.diff.changes import Comparison, Named, Pair, comparison
from branching.diff.past import NOW, Moments
from branching.diff.row_statements import row_statements
from branching.diff.sql import column_text, constraint_text, create_sql, full, index_text, object_sql, objects
from branching.merge.schema import Step, alterations
from branching.model import Catalog, Constraint, Sequence, Table, View
from branching.names import quote
from branching.resolve import DIALECT

if TYPE_CHECKING:
    from branching.connection import Connection

_LATE = d.SetNotNull | d.AddConstraint | d.CreateIndex


def sql(
    connection: Connection,
    branch: str,
    against: str | None = None,
    *,
    direct: bool = False,
    moments: Moments = NOW,
    table: Named | None = None,
) -> list[str]:
    """Statements that, run on the base, make it (or only ``table``) what the branch is."""
    with comparison(connection.database, branch, against, direct=direct, moments=moments) as compared:
        found = _statements(compared) if table is None else _of_table(compared, compared.pair(table))
        return [text + ";" for text in found]


def _of_table(compared: Comparison, pair: Pair) -> Iterator[str]:
    """One table's own statements; what refers to it or reads it is left alone."""
    if pair.after is None and pair.before is not None:
        yield f"DROP TABLE {full(pair.before)} CASCADE"
        return
    table = _Changes(compared, pair)
    for part in (table.detached, table.definition, table.rows, table.asked_late, table.attached):
        yield from part()


def _statements(compared: Comparison) -> Iterator[str]:
    before, after, pairs = compared.before, compared.after, compared.pairs()
    yield from (f"CREATE SCHEMA {quote(name)}" for name in after.schemas if name not in before.schemas)
    going = _views_in_the_way(compared)
    for view in reversed(_in_order(before)):
        if (view.schema, view.name) in going:
            yield f"DROP VIEW {quote(view.schema)}.{quote(view.name)}"
    changed = list(objects(compared))
    for item in changed:
        if item.object == "macro" and item.change == "removed":
            yield f"DROP MACRO {quote(item.schema)}.{quote(item.table)} CASCADE"
        if item.object == "sequence" and item.change == "added":
            yield _sequence_sql(compared, item.schema, item.table)
    tables = [_Changes(compared, pair) for pair in pairs]
    for table in tables:
        yield from table.detached()
    yield from (f"DROP TABLE {full(p.before)} CASCADE" for p in pairs if p.before and not p.after)
    for table in tables:
        yield from table.definition()
    for table in tables:
        yield from table.rows()
    for table in tables:
        yield from table.asked_late()
    for table in tables:
        yield from table.attached()
    yield from (i.to_definition or "" for i in changed if i.object == "macro" and i.change != "removed")
    for view in _in_order(after):
        if (view.schema, view.name) in going or before.find(view.schema, view.name) is None:
            yield object_sql(view) or ""
    for item in changed:
        if item.object == "sequence" and item.change == "removed":
            yield f"DROP SEQUENCE {quote(item.schema)}.{quote(item.table)}"
    yield from _comments(compared, going)
    yield from (f"DROP SCHEMA {quote(name)}" for name in before.schemas if name not in after.schemas)


def _sequence_sql(compared: Comparison, schema: str, name: str) -> str:
    """A sequence that goes on where this one is: ids that were handed out are not handed out again."""
    item = compared.after.find(schema, name)
    assert isinstance(item, Sequence)
    last = compared.cursor.last_value(item.physical)
    if last is not None:
        item = replace(item, start=last + item.increment)
    return object_sql(item) or ""


# -- views and comments ----------------------------------------------------------------------------------------------


def _reads(view: View) -> set[tuple[str, str]]:
    tree = sqlglot.parse_one(view.sql, dialect=DIALECT)
    return {(node.text("db"), node.name) for node in tree.find_all(exp.Table)}


def _in_order(catalog: Catalog) -> list[View]:
    """Views, each behind those it reads."""
    views = {(view.schema, view.name): view for view in catalog.views()}
    found: dict[tuple[str, str], View] = {}

    def take(key: tuple[str, str]) -> None:
        if key in views and key not in found:
            for other in _reads(views[key]) - {key}:
                take(other)
            found[key] = views[key]

    for key in views:
        take(key)
    return list(found.values())


def _views_in_the_way(compared: Comparison) -> set[tuple[str, str]]:
    """Views of the base that change, or that read what changes."""
    touched = {
        (pair.before.schema, pair.before.name)
        for pair in compared.pairs()
        if pair.before is not None
        and (pair.after is None or replace(pair.before, storage=pair.after.storage) != pair.after)
    }
    going: set[tuple[str, str]] = set()
    for view in _in_order(compared.before):
        key = (view.schema, view.name)
        now = compared.after.find(*key)
        same = isinstance(now, View) and (now.sql, now.columns) == (view.sql, view.columns)
        if not same or _reads(view) & (touched | going):
            going.add(key)
    return going


def _comments(compared: Comparison, made: set[tuple[str, str]]) -> Iterator[str]:
    def say(kind: str, name: str, text: str | None) -> str:
        return f"COMMENT ON {kind} {name} IS {names.literal(text) if text is not None else 'NULL'}"

    for pair in compared.pairs():
        after, before = pair.after, pair.before
        if after is None:
            continue
        if after.comment != (before.comment if before else None):
            yield say("TABLE", full(after), after.comment)
        old = {column.id: column.comment for column in before.columns} if before else {}
        for column in after.columns:
            if column.comment != old.get(column.id):
                yield say("COLUMN", f"{full(after)}.{quote(column.name)}", column.comment)
    for view in compared.after.views():
        known = compared.before.find(view.schema, view.name)
        kept = known.comment if isinstance(known, View) and (view.schema, view.name) not in made else None
        if view.comment != kept:
            yield say("VIEW", f"{quote(view.schema)}.{quote(view.name)}", view.comment)


# -- one table -------------------------------------------------------------------------------------------------------


def _references(table: Table | None) -> dict[str, Constraint]:
    return {c.name: c for c in table.constraints if c.kind == "f"} if table is not None else {}


def _without_references(table: Table) -> Table:
    return replace(table, constraints=tuple(c for c in table.constraints if c.kind != "f"))


@dataclass(frozen=True, slots=True)
class _Changes:
    """What is said about one table, in parts."""

    compared: Comparison
    pair: Pair

    def _kept_references(self) -> set[str]:
        """Foreign keys that stay as they are while rows move."""
        before, after = _references(self.pair.before), _references(self.pair.after)
        if self.compared.may_differ(self.pair):
            return set()
        return {name for name, item in before.items() if after.get(name) == item and not self._moves(item)}

    def _moves(self, item: Constraint) -> bool:
        """Whether rows that a foreign key refers to may have changed."""
        return any(
            self.compared.may_differ(pair)
            for pair in self.compared.pairs()
            if (item.ref_schema or pair.shown.schema, item.ref_table) == (pair.shown.schema, pair.shown.name)
        )

    def detached(self) -> Iterator[str]:
        before = self.pair.before
        if before is None or self.pair.after is None:
            return
        kept = self._kept_references()
        for name in _references(before):
            if name not in kept:
                yield f"ALTER TABLE {full(before)} DROP CONSTRAINT {quote(name)}"

    def attached(self) -> Iterator[str]:
        after, kept = self.pair.after, self._kept_references()
        for name, item in _references(after).items():
            if after is not None and name not in kept:
                yield f"ALTER TABLE {full(after)} ADD {constraint_text(item)}"

    def _steps(self) -> list[Step]:
        before, after = self.pair.before, self.pair.after
        if before is None or after is None or replace(before, storage=after.storage) == after:
            return []
        return alterations(_without_references(before), _without_references(after), (after,))

    def definition(self) -> Iterator[str]:
        before, after = self.pair.before, self.pair.after
        if after is None:
            return
        if before is None:
            yield create_sql(_without_references(after))
            yield from (index_text(after, index) for index in after.indexes)
            return
        current = before
        for step in self._steps():
            if isinstance(step.action, _LATE):
                continue
            yield step_sql(current, step, after)
            if isinstance(step.action, d.SetSchema):
                current = replace(current, schema=step.action.schema)
            elif isinstance(step.action, d.RenameTable):
                current = replace(current, name=step.action.to)

    def asked_late(self) -> Iterator[str]:
        after = self.pair.after
        for step in self._steps():
            if after is not None and isinstance(step.action, _LATE):
                yield step_sql(after, step, after)

    def rows(self) -> Iterator[str]:
        if self.pair.after is not None and self.compared.may_differ(self.pair):
            yield from row_statements(self.compared, self.pair, self.pair.after)


def step_sql(table: Table, step: Step, after: Table) -> str:
    """One schema change of ``table`` on its way to ``after``, as a statement."""
    action = step.action
    head = f"ALTER TABLE {full(table)} "
    if isinstance(action, d.AddColumn):
        column = next((c for c in after.columns if c.id == step.column), None)
        text = column_text(replace(column, not_null=False)) if column else action.column.sql(DIALECT)
        return f"{head}ADD COLUMN {text}"
    if isinstance(action, d.DropColumn):
        return f"{head}DROP COLUMN {quote(action.column)}"
    if isinstance(action, d.RenameColumn):
        return f"{head}RENAME COLUMN {quote(action.column)} TO {quote(action.to)}"
    if isinstance(action, d.AlterType):
        using = f" USING {_strict(action.using).sql(DIALECT)}" if action.using is not None else ""
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


def _strict(tree: exp.Expr) -> exp.Expr:
    """A conversion in words that Postgres has: a value that does not fit is an error, and not NULL."""
    tree = exp.Paren(this=tree.copy())
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.TryCast):
            node.replace(exp.Cast(this=node.this, to=node.to))
        elif isinstance(node, exp.Try) or (isinstance(node, exp.Anonymous) and node.name.upper() == "TRY"):
            node.replace(node.this if isinstance(node, exp.Try) else node.expressions[0])
    return tree.unnest()
