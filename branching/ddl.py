"""Changes of the catalog: what is the same on the trunk and on a branch.

``Ddl`` turns a logical statement into catalog changes; where the rows are is up to its two subclasses:
``TrunkDdl`` alters the base table natively (so the file stays an ordinary database), ``BranchDdl`` changes only the
branch's view of the table. Everything happens in the caller's transaction and is undone with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlglot
from sqlglot import exp

from branching import ddl_model as d
from branching import names
from branching.ddl_parse import ParsedColumn, named, parse_column, parse_columns
from branching.errors import BoughError
from branching.manifest import Change
from branching.model import (
    DEFAULT_SCHEMA,
    Catalog,
    Column,
    Constraint,
    Index,
    Macro,
    Relation,
    Schema,
    Storage,
    Table,
    View,
)
from branching.model import (
    Sequence as SequenceObject,
)
from branching.names import quote
from branching.resolve import DIALECT, Scope, parse, schema_name, table_name, undefined
from branching.transaction import Transaction

Notice = Callable[[str], None]
_TYPES: dict[str, str] = {}  # spellings of built-in types, as met
_INTEGER_RANGE = {"SMALLINT": 32767, "INTEGER": 2147483647, "BIGINT": 9223372036854775807}


class Ddl:
    """One connection's DDL, inside one transaction."""

    def __init__(self, transaction: Transaction, scope: Scope, notice: Notice) -> None:
        self.transaction = transaction
        self.scope = scope
        self.cursor = transaction.cursor
        self.notice = notice

    # -- dispatch -------------------------------------------------------------------------------------------

    def run(self, statement: d.Ddl) -> None:
        transaction = self.transaction
        transaction.write()
        if isinstance(statement, d.AlterTable):
            self._alter(statement)
        elif isinstance(statement, d.Drop):
            self._drop(statement)
        elif isinstance(statement, d.CreateView):
            self._create_view(statement)
        elif isinstance(statement, d.CreateIndex):
            self._create_index(statement)
        elif isinstance(statement, d.CreateSequence):
            self._create_sequence(statement)
        elif isinstance(statement, d.AlterSequence):
            self._alter_sequence(statement)
        elif isinstance(statement, d.CreateSchema):
            self._create_schema(statement)
        elif isinstance(statement, d.RenameSchema):
            raise BoughError(
                "0A000", "renaming a schema is not supported", hint="Create a new schema and move the tables."
            )
        elif isinstance(statement, d.CreateMacro):
            raise BoughError("0A000", "CREATE MACRO is not supported yet", hint="Use a view.")
        elif isinstance(statement, d.CommentOn):
            self._comment(statement)
        else:
            raise BoughError("0A000", "this statement is not supported")

    # -- storage: what the subclasses know --------------------------------------------------------------------

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

    # -- names ------------------------------------------------------------------------------------------------

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
        if name.catalog is not None and not self.scope._is_here(name.catalog):
            raise BoughError(
                "0A000",
                f'cannot create "{name.name}" on branch "{name.catalog}" from branch "{self.scope.line.name}"',
                hint=f"BRANCH SWITCH {name.catalog} first.",
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
                hint=f"BRANCH SWITCH {line.name} first.",
            )
        return relation

    # -- tables -----------------------------------------------------------------------------------------------

    def engine_type(self, text: str) -> str:
        """A type as the engine itself spells it: ``INT`` is ``INTEGER``."""
        found = _TYPES.get(text)
        if found is None:
            found = str(self.cursor.query(f"SELECT typeof(CAST(NULL AS {text}))")[0][0])
            _TYPES[text] = found
        return found

    def parsed_column(self, item: exp.ColumnDef) -> ParsedColumn:
        """A column definition, its type as the engine spells it."""
        parsed = parse_column(item, self.next_id)
        parsed.column = replace(parsed.column, type=self.engine_type(parsed.column.type))
        return parsed

    def create_table(self, tree: exp.Create, columns: Sequence[Column] | None = None) -> Table | None:
        """CREATE TABLE; with ``columns`` (of the query) for CREATE TABLE AS. None if it exists and may."""
        node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        name = table_name(node)
        schema, short = self.new_name(name)
        if existing := self.catalog.find(schema, short):
            if tree.args.get("exists"):
                self.notice(f'relation "{short}" already exists, skipping')
                return None
            if not (tree.args.get("replace") and isinstance(existing, Table)):
                raise BoughError("42P07", f'relation "{short}" already exists', schema=schema, table=short)
            self.drop_table(existing, cascade=False)
        self.transaction.write()
        parsed = parse_columns(
            tree.this.expressions if isinstance(tree.this, exp.Schema) and columns is None else [],
            self.next_id,
        )
        if columns is not None:
            renamed = (
                [item.name for item in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
            )
            made = [replace(c, name=renamed[i]) if i < len(renamed) else c for i, c in enumerate(columns)]
        else:
            made = []
            for entry in parsed.columns:
                column = replace(entry.column, type=self.engine_type(entry.column.type))
                if entry.sequence is not None:
                    column = self._serial(schema, short, column, entry.sequence)
                made.append(column)
        identifier = self.next_id()
        table = Table(identifier, schema, short, tuple(made))
        taken: set[str] = set()
        for definition in parsed.constraints:
            table = self._with_constraint(table, definition, taken)
        self._own_sequences(table)
        table = self.create_storage(replace(table, storage=Storage(None, self.next_id())))
        self.put(table)
        return table

    def _with_constraint(self, table: Table, definition: d.ConstraintDefinition, taken: set[str]) -> Table:
        for name in definition.columns:
            if table.column(name) is None:
                raise BoughError("42703", f'column "{name}" named in key does not exist')
        canonical = tuple((table.column(name) or Column(0, name, "")).name for name in definition.columns)
        definition = replace(definition, columns=canonical)
        if definition.kind == "p" and any(item.kind == "p" for item in table.constraints):
            raise BoughError("42P16", f'multiple primary keys for table "{table.name}" are not allowed')

        def target(name: d.Name) -> tuple[str, str, tuple[str, ...]]:
            if name.name == table.name and (name.schema is None or schema_name(name.schema) == table.schema):
                return table.schema, table.name, table.key
            found = self.find(name)
            if not isinstance(found, Table):
                raise undefined(name)
            return found.schema, found.name, found.key

        constraint = named(definition, table.name, taken, target)
        columns = table.columns
        if constraint.kind == "p":
            columns = tuple(
                replace(column, not_null=True) if column.name in constraint.columns else column
                for column in columns
            )
        return replace(table, columns=columns, constraints=(*table.constraints, constraint))

    def _serial(self, schema: str, table: str, column: Column, options: d.SequenceOptions) -> Column:
        sequence = self._make_sequence(
            schema, f"{table}_{column.name}_seq", options, column.type, unique=True
        )
        text = f"nextval({names.literal(f'{quote(schema)}.{quote(sequence.name)}')})"
        return replace(column, default=text, not_null=True)

    def _own_sequences(self, table: Table) -> None:
        """Ties the sequences of serial and identity columns to the table."""
        for column in table.columns:
            for sequence in _sequences_in(column.default, self.scope):
                if sequence.owned_by is None and sequence.name == f"{table.name}_{column.name}_seq":
                    self.put(replace(sequence, owned_by=(table.id, column.id)))

    def physical(self, table: Table) -> Table:
        """The table with its defaults naming storage: for CREATE TABLE in the engine."""
        return self.scope.with_storage_defaults(table)

    def default_sql(self, text: str | None) -> str | None:
        return self.scope.default_sql(text)

    def dependants(self, table: Table) -> Iterator[View | tuple[Table, Constraint]]:
        """Views that read the table and foreign keys that refer to it."""
        for view in self.catalog.views():
            if self._reads(view, table):
                yield view
        for other in self.catalog.tables():
            for constraint in other.constraints:
                if (
                    constraint.kind == "f"
                    and (constraint.ref_schema, constraint.ref_table) == (table.schema, table.name)
                    and other.id != table.id
                ):
                    yield other, constraint

    def _reads(self, view: View, relation: Relation) -> bool:
        return any(
            node.name == relation.name and schema_name(node.text("db") or DEFAULT_SCHEMA) == relation.schema
            for node in parse(view.sql).find_all(exp.Table)
        )

    def drop_table(self, table: Table, *, cascade: bool) -> None:
        found = list(self.dependants(table))
        if found and not cascade:
            shown = "\n".join(
                f"view {item.name} depends on table {table.name}"
                if isinstance(item, View)
                else f"constraint {item[1].name} on table {item[0].name} depends on table {table.name}"
                for item in found
            )
            raise BoughError(
                "2BP01",
                f"cannot drop table {table.name} because other objects depend on it",
                detail=shown,
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        for item in found:
            if isinstance(item, View):
                self._drop_view(item, cascade=True)
            else:
                other, constraint = item
                kept = tuple(c for c in other.constraints if c.name != constraint.name)
                self.put(replace(other, constraints=kept))
        self.transaction.claim(table.id)
        self.drop_storage(table)
        self.remove(table)
        for sequence in list(self.catalog.sequences()):
            if sequence.owned_by and sequence.owned_by[0] == table.id:
                self.remove(sequence)

    def _alter(self, statement: d.AlterTable) -> None:
        name = statement.name
        if statement.kind == "index":
            self._alter_index(statement)
            return
        relation = self.find(name)
        if relation is None:
            if statement.if_exists:
                self.notice(f'relation "{name}" does not exist, skipping')
                return
            raise undefined(name)
        for action in statement.actions:
            relation = self.catalog.find(relation.schema, relation.name)
            assert relation is not None
            if isinstance(action, d.RenameTable | d.SetSchema):
                relation = self._move(relation, action)
            elif isinstance(relation, Table):
                self.transaction.claim(relation.id)
                changed = self.alter(relation, action)
                if changed is not relation:
                    self.put(changed)
                relation = changed
            else:
                raise BoughError("42809", f'"{relation.name}" is not a table')

    def _move(self, relation: Relation, action: d.RenameTable | d.SetSchema) -> Relation:
        schema = relation.schema
        name = relation.name
        if isinstance(action, d.RenameTable):
            name = action.to
        else:
            schema = schema_name(action.schema)
            if schema not in self.catalog.schemas:
                raise BoughError("3F000", f'schema "{schema}" does not exist')
        if self.catalog.find(schema, name):
            raise BoughError("42P07", f'relation "{name}" already exists')
        moved = replace(relation, schema=schema, name=name)
        if isinstance(relation, Table) and isinstance(moved, Table):
            self.transaction.claim(relation.id)
            moved = self.move_storage(relation, moved)
        self.remove(relation)
        self.put(moved)
        self._rename_in_views(relation, moved)
        for other in list(self.catalog.tables()):
            constraints = tuple(
                replace(c, ref_schema=schema, ref_table=name)
                if (c.ref_schema, c.ref_table) == (relation.schema, relation.name)
                else c
                for c in other.constraints
            )
            if constraints != other.constraints:
                self.put(replace(other, constraints=constraints))
        return moved

    def move_storage(self, table: Table, moved: Table) -> Table:
        return moved

    def _rename_in_views(self, old: Relation, new: Relation) -> None:
        for view in list(self.catalog.views()):
            if not self._reads(view, old):
                continue
            tree = parse(view.sql).copy()
            for node in list(tree.find_all(exp.Table)):
                if node.name == old.name and schema_name(node.text("db") or DEFAULT_SCHEMA) == old.schema:
                    if not node.alias:
                        node.set("alias", exp.TableAlias(this=exp.to_identifier(old.name, quoted=True)))
                    node.set("this", exp.to_identifier(new.name, quoted=True))
                    node.set("db", exp.to_identifier(new.schema, quoted=True))
            self.put(replace(view, sql=tree.sql(DIALECT)))

    # -- drop -------------------------------------------------------------------------------------------------

    def _drop(self, statement: d.Drop) -> None:
        for name in statement.names:
            if statement.kind == "schema":
                self._drop_schema(name.name, statement)
            elif statement.kind == "index":
                self._drop_index(name, statement)
            else:
                self._drop_relation(name, statement)

    def _drop_relation(self, name: d.Name, statement: d.Drop) -> None:
        kinds: dict[str, type] = {"table": Table, "view": View, "sequence": SequenceObject}
        if statement.kind not in kinds:
            raise BoughError("0A000", f"DROP {statement.kind.upper()} is not supported")
        relation = self.find(name)
        if relation is None:
            if statement.if_exists:
                self.notice(f'{statement.kind} "{name.name}" does not exist, skipping')
                return
            raise BoughError("42P01", f'{statement.kind} "{name}" does not exist')
        if not isinstance(relation, kinds[statement.kind]):
            raise BoughError(
                "42809",
                f'"{relation.name}" is not a {statement.kind}',
                hint=f"Use DROP {type(relation).__name__.upper()} to remove it.",
            )
        if isinstance(relation, Table):
            self.drop_table(relation, cascade=statement.cascade)
        elif isinstance(relation, View):
            self._drop_view(relation, cascade=statement.cascade)
        else:
            self._drop_sequence(relation, cascade=statement.cascade)

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

    def _drop_sequence(self, sequence: SequenceObject, *, cascade: bool) -> None:
        users = [
            (table, column)
            for table in self.catalog.tables()
            for column in table.columns
            if any(found.id == sequence.id for found in _sequences_in(column.default, self.scope))
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

    def _create_schema(self, statement: d.CreateSchema) -> None:
        name = schema_name(statement.name)
        if name in self.catalog.schemas:
            if statement.if_not_exists:
                self.notice(f'schema "{statement.name}" already exists, skipping')
                return
            raise BoughError("42P06", f'schema "{statement.name}" already exists')
        if name in names.RESERVED_SCHEMAS or name.startswith("pg_") or name == "information_schema":
            raise BoughError("42939", f'unacceptable schema name "{name}"', detail="The name is reserved.")
        self.create_schema_storage(name)
        self.put(Schema(self.next_id(), name))

    def _drop_schema(self, name: str, statement: d.Drop) -> None:
        schema = self.catalog.schemas.get(schema_name(name))
        if schema is None:
            if statement.if_exists:
                self.notice(f'schema "{name}" does not exist, skipping')
                return
            raise BoughError("3F000", f'schema "{name}" does not exist')
        if schema.name == DEFAULT_SCHEMA:
            raise BoughError("2BP01", f'cannot drop schema "{name}": it is the default schema')
        inside = [item for item in self.catalog.relations.values() if item.schema == schema.name]
        if inside and not statement.cascade:
            raise BoughError(
                "2BP01",
                f"cannot drop schema {name} because other objects depend on it",
                detail="\n".join(
                    f"{type(item).__name__.lower()} {name}.{item.name} depends on schema {name}"
                    for item in inside
                ),
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        for item in inside:
            if isinstance(item, View):
                self._drop_view(item, cascade=True)
        for item in inside:
            if isinstance(item, Table) and self.catalog.find(item.schema, item.name):
                self.drop_table(item, cascade=True)
        for item in inside:
            if isinstance(item, SequenceObject) and self.catalog.find(item.schema, item.name):
                self.remove(item)
        self.drop_schema_storage(schema.name)
        self.remove(schema)

    # -- views, sequences, indexes, comments --------------------------------------------------------------------

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
        query = qualified(statement.query.copy(), self.scope)
        described = self.cursor.describe(self.scope.resolve(query.copy()).sql(DIALECT))
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
        kind = options.type or (column_type if column_type in _INTEGER_RANGE else "BIGINT")
        increment = options.increment or 1
        limit = _INTEGER_RANGE.get(kind, _INTEGER_RANGE["BIGINT"])
        minimum = options.minimum if options.minimum is not None else (1 if increment > 0 else -limit - 1)
        maximum = options.maximum if options.maximum is not None else (limit if increment > 0 else -1)
        start = options.start if options.start is not None else (minimum if increment > 0 else maximum)
        identifier = self.next_id()
        physical = f"{names.DATA_SCHEMA}.s{identifier}"
        self.cursor.execute(
            f"CREATE SEQUENCE {physical} INCREMENT BY {increment} MINVALUE {minimum} MAXVALUE {maximum}"
            f" START WITH {start}{' CYCLE' if options.cycle else ''}"
        )
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
        self.put(sequence)
        return sequence

    def _create_sequence(self, statement: d.CreateSequence) -> None:
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
        if options.restart:
            value = options.restart_with if options.restart_with is not None else found.start
            self.cursor.query(f"SELECT setval({names.literal(found.physical)}, {value}, false)")
        if any(
            item is not None
            for item in (options.increment, options.minimum, options.maximum, options.cycle, options.type)
        ):
            raise BoughError(
                "0A000",
                "only RESTART and OWNED BY can be changed on a sequence",
                hint="Create a new sequence and set the column's default to it.",
            )

    def _create_index(self, statement: d.CreateIndex) -> None:
        table = self.scope.target(statement.table)
        columns = []
        for item in statement.columns:
            text = item if isinstance(item, str) else item.sql(DIALECT)
            if isinstance(item, str) and (found := table.column(item)) is not None:
                text = found.name
            elif isinstance(item, str):
                raise BoughError("42703", f'column "{item}" does not exist')
            columns.append(text)
        wanted = statement.name or "_".join(
            [table.name, *(c if c.isidentifier() else "expr" for c in columns), "idx"]
        )
        taken = {
            index.name
            for other in self.catalog.tables()
            if other.schema == table.schema
            for index in other.indexes
        }
        taken |= {name for schema, name in self.catalog.relations if schema == table.schema}
        name, number = wanted, 0
        while name in taken:
            if statement.name:
                if statement.if_not_exists:
                    self.notice(f'relation "{name}" already exists, skipping')
                    return
                raise BoughError("42P07", f'relation "{name}" already exists')
            number += 1
            name = f"{wanted}{number}"
        index = Index(self.next_id(), name, tuple(columns), statement.unique)
        self.transaction.claim(table.id)
        table = self.create_index_storage(table, index)
        self.put(replace(table, indexes=(*table.indexes, index)))

    def _index(self, name: d.Name) -> tuple[Table, Index] | None:
        schemas = (schema_name(name.schema),) if name.schema else self.scope.schemas()
        for table in self.catalog.tables():
            for index in table.indexes:
                if index.name == name.name and table.schema in schemas:
                    return table, index
        return None

    def _drop_index(self, name: d.Name, statement: d.Drop) -> None:
        found = self._index(name)
        if found is None:
            if statement.if_exists:
                self.notice(f'index "{name.name}" does not exist, skipping')
                return
            raise BoughError("42704", f'index "{name}" does not exist')
        table, index = found
        self.transaction.claim(table.id)
        table = self.drop_index_storage(table, index)
        self.put(replace(table, indexes=tuple(item for item in table.indexes if item.id != index.id)))

    def _alter_index(self, statement: d.AlterTable) -> None:
        found = self._index(statement.name)
        if found is None:
            raise BoughError("42P01", f'relation "{statement.name}" does not exist')
        table, index = found
        self.transaction.claim(table.id)
        for action in statement.actions:
            if isinstance(action, d.RenameTable):
                table = self.drop_index_storage(table, index)
                renamed = replace(index, name=action.to)
                table = self.create_index_storage(
                    replace(table, indexes=tuple(i for i in table.indexes if i.id != index.id)), renamed
                )
                self.put(replace(table, indexes=(*table.indexes, renamed)))

    def _comment(self, statement: d.CommentOn) -> None:
        text = statement.text
        if statement.kind == "schema":
            schema = self.catalog.schemas.get(schema_name(statement.name.name))
            if schema is None:
                raise BoughError("3F000", f'schema "{statement.name}" does not exist')
            self.put(replace(schema, comment=text))
            return
        if statement.kind not in ("table", "view", "column", "sequence"):
            raise BoughError("0A000", f"COMMENT ON {statement.kind.upper()} is not supported")
        relation = self.find(statement.name)
        if relation is None:
            raise undefined(statement.name)
        if statement.kind != "column":
            self.put(replace(relation, comment=text))
            return
        column = relation.column(statement.column or "") if isinstance(relation, Table) else None
        if column is None or not isinstance(relation, Table):
            raise BoughError(
                "42703", f'column "{statement.column}" of relation "{relation.name}" does not exist'
            )
        self.put(replace_column(relation, replace(column, comment=text)))


def replace_column(table: Table, column: Column) -> Table:
    return replace(table, columns=tuple(column if item.id == column.id else item for item in table.columns))


def need_column(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise BoughError(
            "42703", f'column "{name}" of relation "{table.name}" does not exist', table=table.name
        )
    return column


def rename_in_expression(text: str | None, old: str, new: str) -> str | None:
    """A stored expression after a column's rename."""
    if text is None:
        return None
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    for column in list(tree.find_all(exp.Column)):
        if column.name.lower() == old.lower():
            column.set("this", exp.to_identifier(new, quoted=True))
    return tree.sql(DIALECT)


def renamed_column(table: Table, old: str, new: str) -> Table:
    """The table after RENAME COLUMN, in everything that names the column."""
    column = need_column(table, old)
    if table.column(new) is not None and table.column(new) != column:
        raise BoughError("42701", f'column "{new}" of relation "{table.name}" already exists')

    def rename(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == column.name else name for name in columns)

    return replace(
        table,
        columns=tuple(
            replace(
                item,
                name=new if item.id == column.id else item.name,
                generated=rename_in_expression(item.generated, column.name, new),
            )
            for item in table.columns
        ),
        constraints=tuple(
            replace(
                item,
                columns=rename(item.columns),
                expression=rename_in_expression(item.expression, column.name, new),
            )
            for item in table.constraints
        ),
        indexes=tuple(replace(item, columns=rename(item.columns)) for item in table.indexes),
    )


def qualified(query: exp.Query, scope: Scope) -> exp.Query:
    """The query with every relation's schema written out, so that a later search path does not matter."""
    from branching.resolve import _is_cte

    for node in query.find_all(exp.Table):
        if not isinstance(node.this, exp.Identifier) or node.meta.get("physical"):
            continue
        if not node.args.get("db") and _is_cte(node):
            continue
        if not node.args.get("db") and node.name in scope.temporary:
            raise BoughError("0A000", "a view cannot read a temporary table")
        found = scope.find(table_name(node))
        if found is None:
            raise undefined(table_name(node))
        if found[0] is not scope.line:
            raise BoughError("0A000", "a view cannot read another branch")
        node.set("db", exp.to_identifier(found[2].schema, quoted=True))
        node.set("catalog", None)
    return query


def _sequences_in(text: str | None, scope: Scope) -> Iterator[SequenceObject]:
    if text is None or "nextval" not in text.lower():
        return
    for call in parse(text).find_all(exp.Anonymous):
        if call.name.lower() == "nextval" and call.expressions:
            argument = call.expressions[0]
            while isinstance(argument, exp.Cast):
                argument = argument.this
            yield scope.sequence(argument.name)


__all__ = ["Ddl", "Macro", "Notice"]
