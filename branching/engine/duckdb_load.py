"""A plain DuckDB file as a branch.

The branch becomes what the file holds: tables that the file does not have are dropped on it. A table of the same shape
keeps the identities of the rows whose key it shares with the file, so a diff and a merge see rows that changed, not two
different tables. It is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sqlglot import exp

from branching.connection import Connection
from branching.database import Database
from branching.ddl.branch import BranchDdl
from branching.engine.duckdb_adopt import with_columns
from branching.engine.duckdb_export import positions
from branching.engine.duckdb_reader import FileReader, Sequences, by_name
from branching.errors import BoughError
from branching.model import Schema, Sequence, Table, View
from branching.names import DATA_SCHEMA, RID, columns, literal, quote
from branching.resolve import parse

_ATTACHED = "bough_other_file"
Progress = Callable[[str], None]


def load(database: Database, source: Path, branch: str, progress: Progress = lambda _line: None) -> list[str]:
    """Makes ``branch`` hold what the plain file ``source`` holds; notes about what could not be taken over."""
    connection = database.connect(branch)
    cursor = connection.cursor
    cursor.execute(f"ATTACH {literal(str(source))} AS {_ATTACHED} (READ_ONLY)")
    try:
        connection.begin()
        try:
            notes = _Load(connection, progress).run()
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
        return notes
    finally:
        cursor.rollback()
        cursor.execute(f"DETACH {_ATTACHED}")
        connection.close()


class _Load:
    def __init__(self, connection: Connection, progress: Progress) -> None:
        self._connection = connection
        self._progress = progress
        self._reader = FileReader(connection.cursor, connection.database.next_id, _ATTACHED)
        assert connection.transaction is not None
        self._transaction = connection.transaction
        self._notes: list[str] = []

    def _ddl(self) -> BranchDdl:
        return BranchDdl(self._transaction, self._connection.scope(), self._notes.append)

    def run(self) -> list[str]:
        reader, ddl = self._reader, self._ddl()
        self._transaction.write()
        self._transaction.statement = "bough import"
        for name in reader.schemas():
            if name not in self._connection.catalog.schemas:
                ddl.put(Schema(self._connection.database.next_id(), name))
        sequences = self._sequences()
        found = reader.tables()
        tables = [(schema, reader.table(schema, name, sequences)) for schema, name, _ in found]
        wanted = {(table.schema, table.name) for _, table in tables}
        for item in [*self._connection.catalog.views(), *self._connection.catalog.macros.values()]:
            self._ddl().remove(item)
        for macro in reader.macros():
            self._ddl().put(macro)
        for old in list(self._connection.catalog.tables()):
            if (old.schema, old.name) not in wanted:
                self._ddl().drop_table(old, cascade=True)
        for number, (schema, table) in enumerate(tables, 1):
            self._progress(f"importing {schema}.{table.name} ({number} of {len(tables)})")
            self._table(schema, table)
        self._views()
        for table in list(self._connection.catalog.tables()):
            self._check_references(table)
        return self._notes

    def _sequences(self) -> Sequences:
        """The file's sequences. Counters are shared by all branches: they only ever move on."""
        found: Sequences = {}
        for item, last in self._reader.sequences():
            known = self._connection.catalog.find(item.schema, item.name)
            if not isinstance(known, Sequence):
                known = replace(item, physical=f"{DATA_SCHEMA}.s{item.id}")
                cursor = self._connection.cursor
                cursor.execute(cursor.engine.create_sequence(known))
                self._ddl().put(known)
                now = None
            else:
                now = positions(self._connection.database).get(known.physical)
            if last is not None and (now is None or (last - now) * item.increment > 0):
                self._connection.cursor.query(f"SELECT setval({literal(known.physical)}, {last})")
            by_name(found, known)
        return found

    def _table(self, schema: str, table: Table) -> None:
        source = self._reader.path(schema, table.name)
        old = self._connection.catalog.find(table.schema, table.name)
        if isinstance(old, Table) and _alike(old, table):
            (self._synchronise if old.key else self._exchange)(old, source)
            return
        ddl = self._ddl()
        if isinstance(old, Table):
            self._transaction.claim(old.id)
            ddl.drop_storage(old)
            ddl.remove(old)  # what refers to it by name refers to the new one
            for sequence in list(ddl.catalog.sequences()):
                if sequence.owned_by and sequence.owned_by[0] == old.id:
                    ddl.put(replace(sequence, owned_by=None))
        made = ddl.create_storage(table)
        ddl.put(made)
        self._insert(made, f"(SELECT {columns(table.stored)} FROM {source})")

    def _exchange(self, old: Table, source: str) -> None:
        """The same without a key: what is there as often in the file stays."""
        listed = columns(old.stored)
        count = f"row_number() OVER (PARTITION BY {listed}) AS _bough_n"
        visible = self._connection.scope().relation_sql(old, self._connection.line, hidden=True)
        there = f"SELECT {listed}, {RID}, {count} FROM ({visible}) AS _rows"
        new = f"SELECT {listed}, {count} FROM {source}"
        same = " AND ".join(
            f"_there.{quote(name)} IS NOT DISTINCT FROM _new.{quote(name)}" for name in old.stored
        )
        same += " AND _there._bough_n = _new._bough_n"
        temporary = "_bough_import"
        self._connection.cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE {temporary} AS SELECT {columns(old.stored, '_new')} FROM ({new}) AS _new"
            f" WHERE NOT EXISTS (SELECT 1 FROM ({there}) AS _there WHERE {same})"
        )
        gone = f"SELECT {RID} FROM ({there}) AS _there WHERE NOT EXISTS (SELECT 1 FROM ({new}) AS _new WHERE {same})"
        rids = ", ".join(str(row[0]) for row in self._connection.cursor.query(gone)) or "NULL"
        self._write(exp.Delete(this=_node(old), where=exp.Where(this=exp.Var(this=f"{RID} IN ({rids})"))))
        self._insert(old, f"temp.main.{temporary}")
        self._connection.cursor.execute(f"DROP TABLE temp.main.{temporary}")

    def _insert(self, table: Table, rows: str) -> None:
        self._write(
            exp.Insert(
                this=exp.Schema(this=_node(table), expressions=[_name(column) for column in table.stored]),
                expression=exp.select("*").from_(exp.Table(this=exp.Var(this=rows))),
            )
        )

    def _synchronise(self, old: Table, source: str) -> None:
        """Only what differs is written, by key."""
        key = old.key
        same = " AND ".join(f"_new.{quote(name)} = {quote(old.name)}.{quote(name)}" for name in key)
        gone = exp.Not(this=exp.Exists(this=exp.Var(this=f"SELECT 1 FROM {source} AS _new WHERE {same}")))
        self._write(exp.Delete(this=_node(old), where=exp.Where(this=gone)))
        others = [name for name in old.stored if name not in key]
        new = exp.Table(this=exp.Var(this=source), alias=exp.TableAlias(this=exp.to_identifier("_new")))
        if others:
            differs = " OR ".join(
                f"_new.{quote(name)} IS DISTINCT FROM {quote(old.name)}.{quote(name)}" for name in others
            )
            self._write(
                exp.Update(
                    this=_node(old),
                    expressions=[
                        exp.EQ(this=exp.column(_name(name)), expression=exp.column(_name(name), table="_new"))
                        for name in others
                    ],
                    from_=exp.From(this=new.copy()),
                    where=exp.Where(this=exp.Var(this=f"{same} AND ({differs})")),
                )
            )
        visible = self._connection.scope().relation_sql(old, self._connection.line)
        listed = columns(old.stored, "_new")
        fresh = (
            f"(SELECT {listed} FROM {source} AS _new WHERE NOT EXISTS"
            f" (SELECT 1 FROM ({visible}) AS {quote(old.name)} WHERE {same}))"
        )
        self._insert(old, fresh)

    def _check_references(self, table: Table) -> None:
        """Foreign keys of tables that were there hold for the file's rows too."""
        scope = self._connection.scope()
        child = scope.relation_sql(table, self._connection.line)
        for key in table.constraints:
            parent = scope.catalog.find(key.ref_schema or "", key.ref_table or "")
            if key.kind != "f" or not isinstance(parent, Table):
                continue
            if any(parent.column(name) is None for name in key.ref_columns):
                kept = tuple(item for item in table.constraints if item is not key)
                self._ddl().put(replace(table, constraints=kept))
                self._notes.append(
                    f"foreign key {key.name} of {table.schema}.{table.name} went with its columns"
                )
                continue
            parents = scope.relation_sql(parent, self._connection.line)
            match = " AND ".join(
                f"_parent.{quote(one)} = _child.{quote(other)}"
                for one, other in zip(key.ref_columns, key.columns, strict=True)
            )
            given = " AND ".join(f"_child.{quote(name)} IS NOT NULL" for name in key.columns)
            if self._connection.cursor.query(
                f"SELECT 1 FROM ({child}) AS _child WHERE {given}"
                f" AND NOT EXISTS (SELECT 1 FROM ({parents}) AS _parent WHERE {match}) LIMIT 1"
            ):
                raise BoughError(
                    "23503",
                    f'the file\'s rows of "{table.name}" break foreign key "{key.name}"',
                    detail=f'They refer to rows that "{parent.name}" does not have in the file.',
                    hint="Complete the file, or drop the foreign key first.",
                    table=table.name,
                    constraint=key.name,
                )

    def _write(self, tree: exp.Expr) -> None:
        connection = self._connection
        connection.writer(self._transaction, connection.scope(), ()).run(tree)

    def _views(self) -> None:
        waiting = list(self._reader.views())
        while waiting:
            failed: list[tuple[View, list[str], str]] = []
            for view, named in waiting:
                try:
                    scope = self._connection.scope()
                    self._ddl().put(with_columns(view, named, scope, self._connection.cursor))
                except BoughError as error:
                    failed.append((view, named, error.message))
            if len(failed) == len(waiting):
                self._notes += [
                    f"view {view.schema}.{view.name} is left out: {why}" for view, _, why in failed
                ]
                return
            waiting = [(view, named) for view, named, _ in failed]


def _alike(old: Table, new: Table) -> bool:
    """Whether rows of one fit the other, under the same rules."""

    def shape(table: Table) -> object:
        rules = {
            (item.kind, _plain(item.expression) if item.expression else item.columns)
            for item in table.constraints
            if item.kind != "f"
        }
        listed = [(c.name, c.type, c.not_null, c.default is None, c.generated is None) for c in table.columns]
        known = {column.name for column in table.columns}
        indexes = {
            (i.name, tuple(t if t in known else _plain(t) for t in i.columns), i.unique)
            for i in table.indexes
        }
        return listed, rules, indexes

    return shape(old) == shape(new)


def _plain(expression: str) -> str:
    """An expression without the parentheses and quotes that the engine puts in or leaves out."""
    tree = parse(expression).copy().unnest()
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", False)
    return tree.sql("duckdb")


def _node(table: Table) -> exp.Table:
    return exp.table_(_name(table.name), db=_name(table.schema))


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)
