"""Changes of the catalog: what is the same on the trunk and on a branch.

``Ddl`` turns a logical statement into catalog changes; where the rows are is up to its two subclasses:
``TrunkDdl`` alters the base table natively (so the file stays an ordinary database), ``BranchDdl`` changes only the
branch's view of the table. Everything happens in the caller's transaction and is undone with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlglot import exp

from branching import names
from branching.ddl import model as d
from branching.ddl.dependants import with_foreign_last
from branching.ddl.edit import refuse_reserved
from branching.ddl.identity import IdentityDdl
from branching.ddl.parse import ParsedColumn, named, parse_column, parse_columns
from branching.dml import lengths
from branching.errors import BoughError
from branching.model import (
    DEFAULT_SCHEMA,
    Column,
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
from branching.resolve import schema_name, table_name, undefined

_TYPES: dict[tuple[str, str], str] = {}  # by engine, spellings of built-in types, as met


class Ddl(IdentityDdl):
    """One connection's DDL, inside one transaction."""

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
            self._rename_schema(statement)
        elif isinstance(statement, d.CreateMacro):
            self._create_macro(statement)
        elif isinstance(statement, d.CommentOn):
            self._comment(statement)
        else:
            raise BoughError("0A000", "this statement is not supported")

    def engine_type(self, text: str) -> str:
        """A type as the engine itself spells it: ``INT`` is ``INTEGER``."""
        known = self.cursor.engine.name, text
        found = _TYPES.get(known)
        if found is None:
            found = _TYPES[known] = self.cursor.type_name(text)
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
        for definition in with_foreign_last(parsed.constraints):
            table = self._with_constraint(table, definition, taken)
        self.own_sequences(table)
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

        parents = []

        def target(name: d.Name) -> tuple[str, str, tuple[str, ...]]:
            found: Relation | None = table
            if name.name != table.name or (name.schema and schema_name(name.schema) != table.schema):
                found = self.find(name)
            if not isinstance(found, Table):
                raise undefined(name)
            parents.append(found)
            return found.schema, found.name, found.key

        constraint = named(definition, table.name, taken, target)
        for parent in parents:
            self.check_reference(table, constraint, parent)
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

    def with_new_column(self, table: Table, action: d.AddColumn) -> tuple[Table, Column] | None:
        """``table`` as it is with the new column and its constraints, and that column; None where IF NOT EXISTS skips.

        Only the definition: what the rows get is each storage's own.
        """
        if table.column(action.column.name) is not None:
            if action.if_not_exists:
                self.notice(
                    f'column "{action.column.name}" of relation "{table.name}" already exists, skipping'
                )
                return None
            raise BoughError(
                "42701", f'column "{action.column.name}" of relation "{table.name}" already exists'
            )
        parsed = self.parsed_column(action.column)
        column = parsed.column
        if column.name.startswith(names.HIDDEN_PREFIX):
            raise BoughError("42939", f'column name "{column.name}" is reserved')
        lengths.refuse_default(column)
        if parsed.sequence is not None:
            column = self._serial(table.schema, table.name, column, parsed.sequence)
        changed = replace(table, columns=(*table.columns, column))
        taken = {item.name for item in table.constraints}
        for definition in parsed.constraints:
            changed = self._with_constraint(changed, definition, taken)
        return changed, column

    def physical(self, table: Table) -> Table:
        """The table with its defaults naming storage: for CREATE TABLE in the engine."""
        return self.scope.with_storage_defaults(table)

    def default_sql(self, text: str | None) -> str | None:
        return self.scope.default_sql(text)

    def drop_table(self, table: Table, *, cascade: bool) -> None:
        self.drop_dependants(f"table {table.name}", self.dependants(table), cascade=cascade)
        self.transaction.deferred.refuse(table, "DROP TABLE")
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
                self.transaction.deferred.refuse(relation, "ALTER TABLE")
                if not self.changes_identity(relation, action):
                    continue
                self.transaction.claim(relation.id)
                if isinstance(action, d.SetIdentity):
                    relation = self.set_identity(relation, action)
                    continue
                relation = self.free(relation, action)
                changed = self.alter(relation, action)
                if changed is not relation:
                    self.put(changed)
                self.follow(relation, changed, action)
            else:
                raise BoughError("42809", f'"{relation.name}" is not a table')

    def _move(self, relation: Relation, action: d.RenameTable | d.SetSchema) -> Relation:
        schema = relation.schema
        name = relation.name
        if isinstance(action, d.RenameTable):
            name = action.to
            refuse_reserved(name)
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
        if isinstance(relation, SequenceObject) and isinstance(moved, SequenceObject):
            self._rename_in_defaults(relation, moved)
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

    def _drop(self, statement: d.Drop) -> None:
        for name in statement.names:
            if statement.kind == "schema":
                self._drop_schema(name.name, statement)
            elif statement.kind == "index":
                self._drop_index(name, statement)
            elif statement.kind in ("macro", "macro table"):
                self._drop_macro(name, statement)
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

    def _create_schema(self, statement: d.CreateSchema) -> None:
        name = schema_name(statement.name)
        if name in self.catalog.schemas:
            if statement.if_not_exists:
                self.notice(f'schema "{statement.name}" already exists, skipping')
                return
            raise BoughError("42P06", f'schema "{statement.name}" already exists')
        if name in names.RESERVED_SCHEMAS or name.startswith("pg_") or name == "information_schema":
            raise BoughError("42939", f'unacceptable schema name "{name}"', detail="The name is reserved.")
        if same := next((item for item in self.catalog.schemas if item.lower() == name.lower()), None):
            raise BoughError(
                "0A000",
                f'schema "{name}" differs from schema "{same}" in case only',
                detail="The engine could not tell them apart.",
                hint="Choose another name.",
            )
        if name.lower() == Path(self.transaction.database.path).stem.strip(":").lower():
            raise BoughError(
                "0A000",
                f'schema "{name}" cannot be made: the database file has that name',
                detail="The engine could not tell the schema's tables from the file's.",
                hint="Choose another name for the schema, or for the file.",
            )
        self.create_schema_storage(name)
        self.put(Schema(self.next_id(), name))

    def _rename_schema(self, statement: d.RenameSchema) -> None:
        """The schema's objects move to a new one: the engine renames none."""
        old = self.catalog.schemas.get(schema_name(statement.name))
        if old is None:
            raise BoughError("3F000", f'schema "{statement.name}" does not exist')
        if old.name == DEFAULT_SCHEMA:
            raise BoughError(
                "0A000", f'schema "{old.name}" cannot be renamed', hint="Make another schema beside it."
            )
        self._create_schema(d.CreateSchema(statement.to))
        new = self.catalog.schemas[schema_name(statement.to)]
        self.put(replace(new, comment=old.comment))
        for relation in [item for item in self.catalog.relations.values() if item.schema == old.name]:
            if isinstance(relation, Table):
                self.transaction.claim(relation.id)
            self._move(self.catalog.relations[relation.schema, relation.name], d.SetSchema(new.name))
        for macro in [item for item in self.catalog.macros.values() if item.schema == old.name]:
            self.remove(macro)
            self.put(replace(macro, schema=new.name))
        self.drop_schema_storage(old.name)
        self.remove(old)

    def _drop_schema(self, name: str, statement: d.Drop) -> None:
        schema = self.catalog.schemas.get(schema_name(name))
        if schema is None:
            if statement.if_exists:
                self.notice(f'schema "{name}" does not exist, skipping')
                return
            raise BoughError("3F000", f'schema "{name}" does not exist')
        if schema.name == DEFAULT_SCHEMA:
            raise BoughError("2BP01", f'cannot drop schema "{name}": it is the default schema')
        inside: list[Relation | Macro] = [
            item
            for item in (*self.catalog.relations.values(), *self.catalog.macros.values())
            if item.schema == schema.name
        ]
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
            elif isinstance(item, Macro) and (item.schema, item.name) in self.catalog.macros:
                self._drop_macro(d.Name(item.name, item.schema), replace(statement, cascade=True))
        self.drop_schema_storage(schema.name)
        self.remove(schema)
