"""Statements of the fake engine that define something, carried out on SQLite: tables with checked types, sequences.

SQLite takes any value in any column and cannot change most of a table. So each column gets a CHECK of what it holds,
and a column that SQLite cannot add in place is added by making the table again.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from sqlglot import exp

from branching.engine import fake_types
from branching.engine.base import Parameters
from branching.engine.fake_sql import SEPARATOR, Statement, dropped, fail, full, render, type_text
from branching.engine.fake_store import Counter, Store
from branching.engine.fake_types import Lookup
from branching.names import quote

TYPED = "type of "  # how the name of a check of a type begins
_NEW = "~new"
_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[(),]""")
_SQLITE = {"INTEGER": "INT"}  # a key of SQLite's INTEGER would be its row's place
_KINDS = {
    "BOOLEAN": "integer", "TINYINT": "integer", "SMALLINT": "integer", "INTEGER": "integer", "BIGINT": "integer",
    "VARCHAR": "text", "BLOB": "blob", "DATE": "text", "TIMESTAMP": "text", "TIMESTAMP WITH TIME ZONE": "text",
}  # fmt: skip


def declared(text: str) -> str | None:
    """The type of a column that SQLite says was declared so."""
    return "INTEGER" if text == "INT" else text or None


class Definition:
    """One statement, if it defines something."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, lookup: Lookup, statement: Statement
    ) -> None:
        self._sqlite = connection
        self._store = store
        self._lookup = lookup
        self._tree = statement.tree
        self.cursor: sqlite3.Cursor = connection.cursor()

    def made(self, parameters: Parameters) -> bool:
        """Carries it out; False where it is none, or one that SQLite can do as it is."""
        tree = self._tree
        if isinstance(tree, exp.Create):
            self._create(tree, parameters)
        elif isinstance(tree, exp.Drop):
            self._drop(tree)
        elif isinstance(tree, exp.Alter):
            self._alter(tree)
        else:
            return False
        return True

    def _execute(self, sql: str) -> None:
        self._sqlite.execute(sql)

    # -- CREATE -----------------------------------------------------------------------------------------------------

    def _create(self, tree: exp.Create, parameters: Parameters) -> None:
        kind = str(tree.args["kind"]).upper()
        node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if kind == "SCHEMA":
            exists = "OR IGNORE " if tree.args.get("exists") else ""
            self._sqlite.execute(f"INSERT {exists}INTO _schemas VALUES (?)", (node.name or node.text("db"),))
        elif kind == "SEQUENCE":
            self._sequence(node.name.replace(SEPARATOR, "."), tree)
        elif kind == "INDEX":
            self._index(tree)
        elif kind == "TABLE" and tree.expression is not None:
            self._create_as(tree, node.name, parameters)
        elif kind == "TABLE":
            self._create_table(tree, node.name)
        else:
            raise fail(f"the fake engine cannot CREATE {kind}", "NotImplementedException")

    def _sequence(self, name: str, tree: exp.Create) -> None:
        given = tree.find(exp.SequenceProperties)

        def number(key: str, otherwise: int) -> int:
            value = given.args.get(key) if given is not None else None
            return int(value.sql()) if value is not None else otherwise

        counter = Counter()
        counter.increment = number("increment", 1)
        counter.minimum = number("minvalue", 1)
        counter.maximum = number("maxvalue", 2**63 - 1)
        counter.start = number("start", counter.minimum)
        options = given.args.get("options") if given is not None else None
        counter.cycle = any(item.name.upper() == "CYCLE" for item in options or ())
        with self._store.lock:
            if name in self._store.counters:
                raise fail(f"Sequence with name {name} already exists!", "CatalogException")
            self._store.counters[name] = counter

    def _index(self, tree: exp.Create) -> None:
        made = tree.copy()
        index = made.this
        table = index.args["table"]
        schema = table.name.partition(SEPARATOR)[0]
        index.set("this", exp.to_identifier(full(schema, index.name), quoted=True))
        self._execute(render(made))

    def _create_table(self, tree: exp.Create, name: str) -> None:
        definitions = [_definition(item) for item in tree.this.expressions]
        temporary = "TEMP " if tree.find(exp.TemporaryProperty) else ""
        self._execute(f"CREATE {temporary}TABLE {quote(name)} ({', '.join(definitions)})")

    def _create_as(self, tree: exp.Create, name: str, parameters: Parameters) -> None:
        query = tree.expression
        columns = fake_types.columns_of(query, self._lookup)
        temporary = tree.find(exp.TemporaryProperty) is not None
        place = f"temp.{quote(_NEW)}" if temporary else quote(name)
        items = ", ".join(
            f"{quote(column)} {_SQLITE.get(kind or '', kind or '')}" for column, kind in columns
        )
        if temporary:
            self._execute(f"DROP TABLE IF EXISTS {place}")
        self._execute(f"CREATE TABLE {place} ({items})")
        self.cursor = self._sqlite.execute(
            f"INSERT INTO {place} {render(query)}", [fake_types.stored(value) for value in parameters]
        )
        if temporary:
            if tree.args.get("replace"):
                self._execute(f"DROP TABLE IF EXISTS temp.{quote(name)}")
            self._execute(f"ALTER TABLE {place} RENAME TO {quote(name)}")

    # -- DROP and ALTER ---------------------------------------------------------------------------------------------

    def _drop(self, tree: exp.Drop) -> None:
        kind, node = str(tree.args["kind"]).upper(), dropped(tree)
        exists = "IF EXISTS " if tree.args.get("exists") else ""
        if kind == "SCHEMA":
            self._sqlite.execute("DELETE FROM _schemas WHERE name = ?", (node.name or node.text("db"),))
        elif kind == "SEQUENCE":
            self._store.counters.pop(node.name.replace(SEPARATOR, "."), None)
        elif kind in ("TABLE", "INDEX"):
            self._execute(f"DROP {kind} {exists}{quote(node.name)}")
        else:
            raise fail(f"the fake engine cannot DROP {kind}", "NotImplementedException")

    def _alter(self, tree: exp.Alter) -> None:
        name = tree.this.name
        for action in tree.args["actions"]:
            self._acted(name, action)

    def _acted(self, name: str, action: exp.Expr) -> None:
        table = quote(name)
        if isinstance(action, exp.AlterRename):
            schema = name.partition(SEPARATOR)[0] if SEPARATOR in name else None
            to = full(schema, action.this.name) if schema is not None else action.this.name
            self._execute(f"ALTER TABLE {table} RENAME TO {quote(to)}")
        elif isinstance(action, exp.RenameColumn):
            old, new = quote(action.this.name), quote(action.args["to"].name)
            self._execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
        elif isinstance(action, exp.ColumnDef):
            known = {column.lower() for column, _ in self._lookup(name) or ()}
            if not (action.args.get("exists") and action.name.lower() in known):
                self._rebuilt(name, lambda items: [*items, _definition(action)])
        elif isinstance(action, exp.Drop) and str(action.args["kind"]).upper() == "COLUMN":
            self._drop_column(name, dropped(action).name)
        else:
            raise fail(f"the fake engine cannot ALTER … {action.sql()}", "NotImplementedException")

    def _drop_column(self, name: str, column: str) -> None:
        """The column's own check of its type goes with it; any other rule that names it stands in the way."""

        def without(items: list[str]) -> list[str]:
            kept = [item for item in items if not item.startswith(f"{quote(column)} ")]
            if any(quote(column) in item for item in kept):
                raise fail(f"Cannot drop column {column}: something depends on it", "CatalogException")
            return kept

        self._rebuilt(name, without)

    def _rebuilt(self, name: str, change: Callable[[list[str]], list[str]]) -> None:
        """The table again with other definitions, its rows in their places."""
        rows = self._sqlite.execute(
            "SELECT type, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL", (name,)
        ).fetchall()
        definition = next(sql for kind, sql in rows if kind == "table")
        items = sorted(change(_items(definition)), key=lambda item: not item.startswith('"'))
        before = [row[1] for row in self._sqlite.execute(f"PRAGMA table_xinfo({quote(name)})") if not row[6]]
        self._execute(f"CREATE TABLE {quote(_NEW)} ({', '.join(items)})")
        after = [row[1] for row in self._sqlite.execute(f"PRAGMA table_xinfo({quote(_NEW)})") if not row[6]]
        listed = ", ".join(["rowid", *(quote(item) for item in before if item in after)])
        self._execute(f"INSERT INTO {quote(_NEW)} ({listed}) SELECT {listed} FROM {quote(name)}")
        self._execute(f"DROP TABLE {quote(name)}")
        self._execute(f"ALTER TABLE {quote(_NEW)} RENAME TO {quote(name)}")
        for kind, sql in rows:
            if kind == "index":
                self._execute(sql)


def _items(definition: str) -> list[str]:
    """What stands between the parentheses of a CREATE TABLE, columns first."""
    found, depth, start = [], 0, 0
    for match in _TOKEN.finditer(definition):
        mark = match[0]
        if mark == "(":
            depth += 1
            start = match.end() if depth == 1 else start
        elif (mark == "," and depth == 1) or (mark == ")" and depth == 1):
            found.append(definition[start : match.start()].strip())
            start = match.end()
        depth -= mark == ")"
    return found


def _definition(item: exp.Expr) -> str:
    """A column or a constraint in SQLite's words; a column with a check of its type."""
    if not isinstance(item, exp.ColumnDef):
        return render(item)
    kind = type_text(item.args["kind"])
    name = quote(item.name)
    rest = []
    for constraint in item.args.get("constraints") or ():
        what = constraint.args["kind"]
        if isinstance(what, exp.DefaultColumnConstraint):
            rest.append(f"DEFAULT ({render(what.this)})")
        elif isinstance(what, exp.ComputedColumnConstraint | exp.GeneratedAsRowColumnConstraint):
            inner = what.this if isinstance(what, exp.ComputedColumnConstraint) else what.args["expression"]
            rest.append(f"GENERATED ALWAYS AS ({render(inner)}) VIRTUAL")
        else:
            rest.append(render(constraint))
    if (stored := _KINDS.get(kind)) is not None and not any("GENERATED" in text for text in rest):
        label = quote(TYPED + item.name)
        rest.append(f"CONSTRAINT {label} CHECK (typeof({name}) IN ('{stored}', 'null'))")
    return " ".join([name, _SQLITE.get(kind, kind), *rest])


__all__ = ["TYPED", "Definition", "declared"]
