"""Branch storage of engines that keep a row's identity and version in hidden columns, as SQL that they all have alike.

``d<shape>``  rows of branches, with the table's own columns, keys, checks and defaults; keys include the branch
``b<shape>``  images, as of a branch's base, of rows it changed
``m<base>``   identities of base rows that branches replace or delete
``h<base>``   old images of the base's rows, each with the version that ended it
``e<shape>``  the same of branches' own rows
``c<base>``   all rows of a table that a branch has changed much of, as a base of its own

They are shared by all branches that see the table in the same shape: a change of ten rows costs ten rows, not a table,
and thousands of branches stay cheap. What an engine spells in its own way are the methods that raise here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from branching import names
from branching.engine.base import Cursor
from branching.engine.capabilities import Capabilities
from branching.model import Column, Constraint, Table
from branching.names import BRANCH, ENDED, RID, VERSION, quote

if TYPE_CHECKING:
    from branching.engine.points import Clock, Point
    from branching.model import Sequence as SequenceObject
    from branching.physical import BaseTable


class VersionedRows:
    """The storage half of an ``Engine``."""

    capabilities: Capabilities

    # -- what an engine spells --------------------------------------------------------------------------------------

    def expression(self, logical: str) -> str:
        raise NotImplementedError

    def hidden_columns(self) -> tuple[str, ...]:
        """Definitions of the identity, which is new for each row, and of the version, which on a branch is the
        session's where nothing is said."""
        raise NotImplementedError

    def branch_column(self) -> str:
        """The definition of the column that says whose row it is; the session's branch where nothing is said."""
        raise NotImplementedError

    def digest(self, rows: str, columns: Sequence[str]) -> str:
        """A query whose answer is alike for the same ``rows`` in any order, and differs for others."""
        raise NotImplementedError

    # -- definitions ------------------------------------------------------------------------------------------------

    def column(self, column: Column) -> str:
        """A column's definition in CREATE TABLE (its default naming storage)."""
        if column.generated is not None:
            column = replace(column, generated=self.expression(column.generated))
        return column_definition(column)

    def constraint(self, constraint: Constraint, *, branch: bool) -> str | None:
        """A constraint's definition in CREATE TABLE; None for what the engine does not enforce."""
        listed = names.columns(constraint.columns)
        if constraint.kind == "f":
            if branch or not self.capabilities.native_foreign_keys:
                return None
            parent = f"{quote(constraint.ref_schema or '')}.{quote(constraint.ref_table or '')}"
            return f"FOREIGN KEY ({listed}) REFERENCES {parent} ({names.columns(constraint.ref_columns)})"
        if constraint.kind == "c":
            return f"CHECK ({self.expression(constraint.expression or 'true')})"
        kind = "PRIMARY KEY" if constraint.kind == "p" else "UNIQUE"
        return f"{kind} ({BRANCH}, {listed})" if branch else f"{kind} ({listed})"

    def identify(self, table: str) -> str:
        return f"ALTER TABLE {table} ADD COLUMN {self.hidden_columns()[0]}"

    def create_base(self, schema: str, name: str, table: Table) -> str:
        items = [self.column(column) for column in table.columns]
        # Each INSERT brings its version; rows that others add to the file have none until the next open.
        items += [self.hidden_columns()[0], f"{VERSION} BIGINT"]
        items += filter(None, (self.constraint(item, branch=False) for item in table.constraints))
        return f"CREATE TABLE {quote(schema)}.{quote(name)} ({', '.join(items)})"

    def create_delta(self, table: Table) -> str:
        items = [self.branch_column()]
        items += [self.column(column) for column in table.columns]
        items += self.hidden_columns()
        items += filter(None, (self.constraint(item, branch=True) for item in table.constraints))
        known = {
            column.name for column in table.columns
        }  # keys of expressions are asked for: expression_keys.py
        items += [
            f"UNIQUE ({BRANCH}, {names.columns(index.columns)})"
            for index in table.indexes
            if index.unique and known.issuperset(index.columns)
        ]
        return f"CREATE TABLE {names.delta(table.storage.shape)} ({', '.join(items)})"

    def create_copy(self, copy: BaseTable, table: Table) -> str:
        by_name = {column.name: quote(copy.columns[column.id]) for column in table.columns}
        items = [f"{by_name[column.name]} {column.type}" for column in table.columns]
        items += [f"{RID} BIGINT NOT NULL", f"{VERSION} BIGINT NOT NULL"]
        for key in table.constraints:
            if key.kind in "pu":
                listed = ", ".join(by_name[name] for name in key.columns)
                items.append(f"{'PRIMARY KEY' if key.kind == 'p' else 'UNIQUE'} ({listed})")
        return f"CREATE TABLE {copy.sql} ({', '.join(items)})"

    def create_images(self, table: Table) -> str:
        items = [f"{BRANCH} BIGINT NOT NULL", *_stored(table)]
        items += [f"{RID} BIGINT NOT NULL", f"{VERSION} BIGINT NOT NULL"]
        return f"CREATE TABLE {names.before(table.storage.shape)} ({', '.join(items)})"

    def create_mask(self, base: int) -> str:
        return (
            f"CREATE TABLE {names.mask(base)} ({BRANCH} BIGINT, {RID} BIGINT, PRIMARY KEY ({BRANCH}, {RID}))"
        )

    def create_history(self, cursor: Cursor, base: BaseTable, name: str) -> str:
        """Of the types that the base has in the database: the trunk may know some of its columns no longer.

        Not CREATE TABLE AS … LIMIT 0: DuckDB 2.0.0 shows no rows of such a table after a large INSERT.
        """
        columns = ", ".join(f"{quote(stored)} AS c{id_}" for id_, stored in base.columns.items())
        shape = cursor.describe(f"SELECT {columns}, {RID}, {VERSION}, {VERSION} AS {ENDED} FROM {base.sql}")
        items = ", ".join(f"{quote(item.name)} {item.type}" for item in shape)
        return f"CREATE TABLE {name} ({items})"

    def create_ended(self, table: Table) -> str:
        items = [f"{BRANCH} BIGINT", *_stored(table), f"{RID} BIGINT", f"{VERSION} BIGINT", f"{ENDED} BIGINT"]
        return f"CREATE TABLE {names.ended(table.storage.shape)} ({', '.join(items)})"

    def create_sequence(self, sequence: SequenceObject) -> str:
        return (
            f"CREATE SEQUENCE {sequence.physical} INCREMENT BY {sequence.increment} MINVALUE {sequence.minimum}"
            f" MAXVALUE {sequence.maximum} START WITH {sequence.start}{' CYCLE' if sequence.cycle else ''}"
        )

    # -- points -----------------------------------------------------------------------------------------------------

    def fork_point(self, clock: Clock) -> Point:
        return clock.now()

    def as_of(self, current: str, kept: str, old: str | None, point: Point) -> str:
        text = f"{current} WHERE {point.visible(VERSION)}"
        if old is not None:
            text += (
                f" UNION ALL SELECT {kept} FROM {old}"
                f" WHERE {point.visible(VERSION)} AND {point.hidden(ENDED)}"
            )
        return text

    def unmasked(self, rows: str, shown: str, mask: str, branch: int) -> str:
        return (
            f"SELECT {shown} FROM {rows} AS _below WHERE NOT EXISTS (SELECT 1 FROM {mask} AS _mask"
            f" WHERE _mask.{BRANCH} = {branch} AND _mask.{RID} = _below.{RID})"
        )

    def changed_since(self, relation: str, old: str | None, point: Point) -> list[str]:
        found = [f"SELECT {RID} FROM {relation} WHERE {point.hidden(VERSION)}"]
        if old is not None:
            found.append(f"SELECT {RID} FROM {old} WHERE {point.visible(VERSION)} AND {point.hidden(ENDED)}")
        return found

    def last_change(self, relation: str, old: str | None) -> str:
        text = f"SELECT coalesce(max({VERSION}), 0) AS _last FROM {relation}"
        if old is None:
            return text
        text += f" UNION ALL SELECT coalesce(max({ENDED}), 0) FROM {old}"
        return f"SELECT max(_last) FROM ({text}) AS _both"

    # -- writing ----------------------------------------------------------------------------------------------------

    def touch(
        self, into: str, columns: str, rows: str, alias: str, where: str, *, branch: int, version: int
    ) -> str:
        return (
            f"INSERT INTO {into} ({BRANCH}, {columns}, {RID}, {VERSION})"
            f" SELECT {branch}, {columns}, {RID}, {version} FROM {rows} AS {quote(alias)} WHERE {where}"
        )

    def mark(self, relation: str, alias: str, where: str, version: int) -> str | None:
        if self.capabilities.notices_lost_updates:
            return None
        return f"UPDATE {relation} AS {quote(alias)} SET {VERSION} = {version} WHERE {where}"

    def delete_some(self, relation: str, where: str, limit: int) -> str:
        some = f"SELECT rowid FROM {relation} WHERE {where} LIMIT {limit}"
        return f"DELETE FROM {relation} WHERE rowid IN ({some})"

    def place(self, columns: Iterable[str]) -> str:
        known = self.capabilities.row_places and all(name.lower() != "rowid" for name in columns)
        return "rowid" if known else "CAST(NULL AS BIGINT)"


def column_definition(column: Column) -> str:
    """A column as CREATE TABLE has it, its expressions as they stand."""
    text = f"{quote(column.name)} {column.type}"
    if column.generated is not None:
        return f"{text} GENERATED ALWAYS AS ({column.generated})"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    if column.not_null:
        text += " NOT NULL"
    return text


def _stored(table: Table) -> list[str]:
    return [f"{quote(column.name)} {column.type}" for column in table.columns if column.generated is None]
