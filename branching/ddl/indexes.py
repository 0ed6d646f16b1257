"""DDL on indexes, and comments on everything."""

from __future__ import annotations

from dataclasses import replace

from branching.ddl import model as d
from branching.ddl.edit import replace_column
from branching.ddl.objects import ObjectDdl
from branching.errors import BoughError
from branching.model import Index, Table
from branching.resolve import DIALECT, schema_name, undefined


class IndexDdl(ObjectDdl):
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
            if statement.if_exists:
                self.notice(f'relation "{statement.name}" does not exist, skipping')
                return
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

    def _comment_on_part(self, statement: d.CommentOn) -> None:
        """Of an index, or of a constraint of a table."""
        text, wanted = statement.text, statement.column
        if statement.kind == "index":
            found = self._index(statement.name)
            if found is None:
                raise undefined(statement.name)
            table, index = found
            said = replace(index, comment=text)
            self.put(replace(table, indexes=tuple(said if i.id == index.id else i for i in table.indexes)))
            return
        owner = self.find(statement.name)
        if not isinstance(owner, Table):
            raise undefined(statement.name)
        if all(item.name != wanted for item in owner.constraints):
            raise BoughError("42704", f'constraint "{wanted}" for table "{owner.name}" does not exist')
        items = (replace(c, comment=text) if c.name == wanted else c for c in owner.constraints)
        self.put(replace(owner, constraints=tuple(items)))

    def _comment(self, statement: d.CommentOn) -> None:
        text = statement.text
        if statement.kind == "schema":
            schema = self.catalog.schemas.get(schema_name(statement.name.name))
            if schema is None:
                raise BoughError("3F000", f'schema "{statement.name}" does not exist')
            self.put(replace(schema, comment=text))
            return
        if statement.kind in ("index", "constraint"):
            self._comment_on_part(statement)
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
