"""A database with main and branches of it, for tests of merges."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import Author, BoughError, Database, branches
from branching.ddl import model as d
from branching.merge import apply as merge_apply

AUTHOR = Author("tester")


class Lab:
    """A database with main and a branch ``b`` of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.database: Database = branching.open(path)
        self.open("main")

    def open(self, *names: str) -> None:
        self.connections = {name: self.database.connect(name) for name in names}

    def fork(self, name: str = "b", parent: str = "main") -> None:
        branches.create(self.database, name, parent, role="tester")
        self.connections[name] = self.database.connect(name)

    def sql(self, branch: str, text: str) -> list[tuple[Any, ...]]:
        return self.connections[branch].execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()

    def alter(self, branch: str, *actions: d.Action, table: str = "t") -> None:
        self.connections[branch].execute(d.AlterTable(d.Name(table), actions))

    def merge(self, source: str = "b", target: str = "main", **options: Any) -> dict[str, Any]:
        result = merge_apply.merge(self.database, source, target, author=AUTHOR, **options)
        self.last = result.id
        return {row.table: row for row in result.rows}

    def fails(self, sqlstate: str, call: Any, *arguments: Any, **options: Any) -> BoughError:
        with pytest.raises(BoughError) as caught:
            call(*arguments, **options)
        assert caught.value.sqlstate == sqlstate, caught.value
        return caught.value

    def all(self, branch: str, table: str = "t") -> list[tuple[Any, ...]]:
        return self.sql(branch, f"select * from {table} order by all")

    def restart(self) -> None:
        names = list(self.connections)
        self.close()
        self.database = branching.open(self.path)
        self.open(*names)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.database.close()


def column(text: str) -> exp.ColumnDef:
    found = sqlglot.parse_one(f"create table x ({text})", dialect="duckdb").find(exp.ColumnDef)
    assert found is not None
    return found
