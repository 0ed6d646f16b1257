"""DDL on views and sequences, and the names of everything: the part that has no rows of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import exp

from branching import names
from branching.ddl import counters, view_text
from branching.ddl import model as d
from branching.ddl.edit import (
    qualified,
    refuse_reserved,
    sequences_in,
)
from branching.errors import BoughError
from branching.manifest import Change
from branching.model import (
    Catalog,
    Column,
    Index,
    Relation,
    Table,
    View,
)
from branching.model import (
    Sequence as SequenceObject,
)
from branching.resolve import DIALECT, Scope, parse, schema_name, undefined
from branching.transaction import Transaction

Notice = Callable[[str], None]


class ObjectDdl:
    """One connection's DDL, inside one transaction: ``Ddl`` adds tables."""

    def __init__(self, transaction: Transaction, scope: Scope, notice: Notice) -> None:
        self.transaction = transaction
        self.scope = scope
        self.cursor = transaction.cursor
        self.notice = notice

    def create_storage(self, table: Table) -> Table:
        """Makes room for a new table's rows; returns it with its storage."""
        raise NotImplementedError

    def drop_storage(self, table: Table) -> None:
        raise NotImplementedError

    def alter(self, table: Table, action: d.Action) -> Table:
        raise NotImplementedError

    def create_index_storage(self, table: Table, index: Index) -> Table:
        raise NotImplementedError

    def drop_index_storage(self, table: Table, index: Index) -> Table:
        raise NotImplementedError

    def create_schema_storage(self, name: str) -> None:
        raise NotImplementedError

    def drop_schema_storage(self, name: str) -> None:
        raise NotImplementedError

    @property
    def catalog(self) -> Catalog:
        return self.transaction.catalog

    def next_id(self) -> int:
        return self.transaction.database.next_id()

    def put(self, item: Any) -> None:
        self.transaction.change(Change(item))
        self.scope.catalog = self.transaction.catalog

    def remove(self, item: Any) -> None:
        self.transaction.change(Change(item, dropped=True))
        self.scope.catalog = self.transaction.catalog

    def new_name(self, name: d.Name) -> tuple[str, str]:
        """(schema, name) of an object about to be made here."""
        refuse_reserved(name.name)
        name = self.scope.meant(name)
        if name.catalog is not None and not self.scope._is_here(name.catalog):
            raise BoughError(
                "0A000",
                f'cannot create "{name.name}" on branch "{name.catalog}" from branch "{self.scope.line.name}"',
                hint=f"BRANCH SWITCH {names.quote(name.catalog)} first.",
            )
        if name.schema is None:
            path = self.scope.schemas()
            if not path:
                raise BoughError("3F000", "no schema has been selected to create in")
            schema = path[0]
        else:
            schema = schema_name(name.schema)
        if schema in names.RESERVED_SCHEMAS or schema in ("pg_catalog", "information_schema"):
            raise BoughError("42501", f'permission denied for schema "{schema}"')
        if schema not in self.catalog.schemas:
            raise BoughError("3F000", f'schema "{schema}" does not exist', hint=f"CREATE SCHEMA {schema};")
        return schema, name.name

    def find(self, name: d.Name) -> Relation | None:
        found = self.scope.find(name)
        if found is None:
            return None
        line, _, relation = found
        if line is not self.scope.line:
            raise BoughError(
                "0A000",
                f'cannot change branch "{line.name}" from branch "{self.scope.line.name}"',
                hint=f"BRANCH SWITCH {names.quote(line.name)} first.",
            )
        return relation

    def _reads(self, view: View, relation: Relation) -> bool:
        return next(view_text.reads(parse(view.sql), relation), None) is not None

    def _create_view(self, statement: d.CreateView) -> None:
        if statement.temporary:
            raise BoughError("0A000", "temporary views are not supported", hint="Use CREATE TEMP TABLE … AS.")
        schema, name = self.new_name(statement.name)
        existing = self.catalog.find(schema, name)
        if existing is not None:
            if statement.if_not_exists:
                self.notice(f'relation "{name}" already exists, skipping')
                return
            if not (statement.or_replace and isinstance(existing, View)):
                raise BoughError("42P07", f'relation "{name}" already exists')
        if next(statement.query.find_all(exp.Placeholder), None) is not None:
            raise BoughError("42P02", "there is no parameter in a view's query")
        query = view_text.spelled_out(qualified(statement.query.copy(), self.scope), self.find)
        described = self.cursor.describe(self.cursor.engine.text(self.scope.resolve(query.copy())))
        renamed = list(statement.columns) + [item.name for item in described[len(statement.columns) :]]
        if len({item.lower() for item in renamed}) != len(renamed):
            double = next(item for item in renamed if renamed.count(item) > 1)
            raise BoughError("42701", f'column "{double}" specified more than once')
        columns = tuple(
            Column(self.next_id(), column, item.type) for column, item in zip(renamed, described, strict=True)
        )
        if (
            isinstance(existing, View)
            and [c.name for c in existing.columns] != renamed[: len(existing.columns)]
        ):
            raise BoughError(
                "42P16",
                f'cannot change the columns of view "{name}"',
                hint="DROP VIEW first.",
            )
        identifier = existing.id if isinstance(existing, View) else self.next_id()
        self.put(
            View(
                identifier, schema, name, query.sql(DIALECT), columns, existing.comment if existing else None
            )
        )

    def _drop_view(self, view: View, *, cascade: bool) -> None:
        if self.catalog.find(view.schema, view.name) is None:
            return
        readers = [
            other for other in self.catalog.views() if other.id != view.id and self._reads(other, view)
        ]
        if readers and not cascade:
            raise BoughError(
                "2BP01",
                f"cannot drop view {view.name} because other objects depend on it",
                detail="\n".join(f"view {other.name} depends on view {view.name}" for other in readers),
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        for other in readers:
            self._drop_view(other, cascade=True)
        self.remove(view)

    def _rename_in_views(self, old: Relation, new: Relation) -> None:
        for view in list(self.catalog.views()):
            if not self._reads(view, old):
                continue
            tree = parse(view.sql).copy()
            for node in list(view_text.reads(tree, old)):
                if not node.alias:
                    node.set("alias", exp.TableAlias(this=exp.to_identifier(old.name, quoted=True)))
                node.set("this", exp.to_identifier(new.name, quoted=True))
                node.set("db", exp.to_identifier(new.schema, quoted=True))
            self.put(replace(view, sql=tree.sql(DIALECT)))

    def _make_sequence(
        self,
        schema: str,
        name: str,
        options: d.SequenceOptions,
        column_type: str | None = None,
        *,
        unique: bool = False,
    ) -> SequenceObject:
        wanted, number = name, 0
        while unique and self.catalog.find(schema, wanted):
            number += 1
            wanted = f"{name}{number}"
        kind = options.type or (column_type if column_type in counters.INTEGER_RANGE else "BIGINT")
        increment = counters.increment(options, 1)
        limit = counters.INTEGER_RANGE.get(kind, counters.INTEGER_RANGE["BIGINT"])
        minimum = options.minimum if options.minimum is not None else (1 if increment > 0 else -limit - 1)
        maximum = options.maximum if options.maximum is not None else (limit if increment > 0 else -1)
        start = options.start if options.start is not None else (minimum if increment > 0 else maximum)
        identifier = self.next_id()
        physical = f"{names.DATA_SCHEMA}.s{identifier}"
        sequence = SequenceObject(
            identifier,
            schema,
            wanted,
            physical,
            kind,
            start,
            increment,
            minimum,
            maximum,
            bool(options.cycle),
        )
        self.cursor.execute(self.cursor.engine.create_sequence(sequence))
        self.transaction.sequences.add(sequence.physical)
        self.put(sequence)
        return sequence

    def _create_sequence(self, statement: d.CreateSequence) -> None:
        if statement.temporary:
            raise BoughError(
                "0A000",
                "temporary sequences are not supported",
                detail="All sessions of the branch would see it.",
                hint="CREATE SEQUENCE, and DROP SEQUENCE when it has served.",
            )
        schema, name = self.new_name(statement.name)
        if self.catalog.find(schema, name):
            if statement.if_not_exists:
                self.notice(f'relation "{name}" already exists, skipping')
                return
            raise BoughError("42P07", f'relation "{name}" already exists')
        sequence = self._make_sequence(schema, name, statement.options)
        if statement.options.owned_by:
            self._own(sequence, statement.options)

    def _own(self, sequence: SequenceObject, options: d.SequenceOptions) -> None:
        assert options.owned_by is not None
        owner, column_name = options.owned_by
        table = self.find(owner)
        column = table.column(column_name) if isinstance(table, Table) else None
        if table is None or column is None:
            raise undefined(owner)
        self.put(replace(sequence, owned_by=(table.id, column.id)))

    def _alter_sequence(self, statement: d.AlterSequence) -> None:
        found = self.find(statement.name)
        if not isinstance(found, SequenceObject):
            if found is None and statement.if_exists:
                self.notice(f'relation "{statement.name}" does not exist, skipping')
                return
            raise (
                undefined(statement.name)
                if found is None
                else BoughError("42809", f'"{found.name}" is not a sequence')
            )
        options = statement.options
        if options.owned_by:
            self._own(found, options)
        elif options.owned_by_none:
            self.put(replace(found, owned_by=None))
        now = self.find(statement.name)
        assert isinstance(now, SequenceObject)
        counters.alter(self, now, options)

    def _drop_sequence(self, sequence: SequenceObject, *, cascade: bool) -> None:
        users = [
            (table, column)
            for table in self.catalog.tables()
            for column in table.columns
            if any(found.id == sequence.id for found in sequences_in(column.default, self.scope))
        ]
        if users and not cascade:
            table, column = users[0]
            raise BoughError(
                "2BP01",
                f"cannot drop sequence {sequence.name} because other objects depend on it",
                detail=f"default value for column {column.name} of table {table.name} depends on it",
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        for table, column in users:
            self.transaction.claim(table.id)
            self.put(self.alter(table, d.DropDefault(column.name)))
        self.remove(sequence)
