"""Writing to MySQL and MariaDB: LOAD DATA that tolerates no warning, and RENAME TABLE pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
import pymysql

from migration.connectors.base import (
    Mode,
    Path,
    Published,
    WriteResult,
)
from migration.connectors.children import ACTIONS, Reference
from migration.connectors.fitting import Fit, fit, fit_batch
from migration.connectors.mysql import MysqlConnector, MysqlReader
from migration.connectors.mysql_catalog import referring, remote_table, table_columns
from migration.connectors.mysql_errors import CODES, NO_LOCAL
from migration.connectors.mysql_lines import file_content, load_columns, lone_columns
from migration.connectors.queries import quoted
from migration.connectors.staged_names import is_staging, mark_name
from migration.connectors.touched import WRITES
from migration.connectors.writing import SqlWriter
from migration.errors import MigrationError
from migration.model import KeySpec, TableSpec
from migration.scratch import Scratch
from migration.statements import leading_word


class MysqlWriter(SqlWriter):
    """One session that writes."""

    transactional_ddl = False
    current_read = " LOCK IN SHARE MODE"

    def __init__(self, connector: MysqlConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def execute(self, statement: str) -> int | None:
        with self.connector.errors(), self.session.cursor() as cursor:
            touched = int(cursor.execute(statement))
        counted = leading_word(statement) in (*WRITES, "LOAD")
        return touched if counted else None

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors(), self.session.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def fetch(self, query: str) -> pa.Table:
        reader = MysqlReader.__new__(MysqlReader)  # the same way to read, on this session and its transaction
        reader.connector, reader.session, reader.item = self.connector, self.session, self.item
        return reader.fetch(query)

    def describe(self, path: Path) -> TableSpec:
        with self.connector.errors():
            found = remote_table(self.session, path)
        if found is None:
            raise self.connector.missing(path)
        return found.spec

    def exists(self, path: Path) -> bool:
        with self.connector.errors():
            return bool(table_columns(self.session, path))

    def names(self, schema: str | None) -> list[Path]:
        found = self.rows(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            f"AND table_schema = {'DATABASE()' if schema is None else self.session.escape(schema)}"
        )
        return [(*row,) for row in found]

    own = frozenset({"outgoing foreign key"})

    def dependants(self, path: Path) -> tuple[str, ...]:
        name = self.session.escape(path[-1])
        schema = self.session.escape(path[-2]) if len(path) > 1 else "DATABASE()"
        asked = (
            (
                "foreign key",
                "SELECT 1 FROM information_schema.key_column_usage WHERE referenced_table_schema = "
                f"{schema} AND referenced_table_name = {name} AND (table_schema, table_name) <> ({schema}, {name})",
            ),
            (
                "trigger",
                "SELECT 1 FROM information_schema.triggers "
                f"WHERE event_object_schema = {schema} AND event_object_table = {name}",
            ),
            (
                "outgoing foreign key",
                "SELECT 1 FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY' "
                f"AND table_schema = {schema} AND table_name = {name}",
            ),
        )
        return tuple(what for what, query in asked if self.rows(query + " LIMIT 1"))

    def references(self, target: Path) -> tuple[Reference, ...]:
        """Of a table that refers to itself also those that would keep a row from going: it goes unchecked."""
        found = self._pointing(target)
        unchecked = any(each.own for each in found)
        return tuple(
            each
            for each in found
            if each.action in ACTIONS or (unchecked and not (each.own and self._moves(each.columns)))
        )

    def _moves(self, names: Sequence[str]) -> bool:
        """Whether all these come with the rows."""
        return self.moved is None or set(names) <= set(self.moved)

    def _pointing(self, target: Path) -> tuple[Reference, ...]:
        with self.connector.errors():
            return referring(self.session, target)

    def lock_rows(self, target: Path, condition: str) -> None:
        self.rows(f"SELECT count(*) FROM {self.q(target)} AS t WHERE {condition} FOR UPDATE")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        if mode == "upsert" and key:  # without an index the join would compare every row with every row
            names = ", ".join(quoted(name, self.item) for name in key)
            with contextlib.suppress(MigrationError):  # a text without a length cannot be indexed whole
                self.execute(f"CREATE INDEX bough_key ON {self.q(staging)} ({names})")
        if mode != "create" and self.exists(target):
            mark = self.q(mark_name(staging))
            self.execute(f"CREATE TABLE IF NOT EXISTS {mark} (done TINYINT PRIMARY KEY) ENGINE = InnoDB")
        return super().publish(staging, target, mode, key)

    def has_published(self, staging: Path, rows: int) -> bool | None:
        """A session whose client is gone may still be at its COMMIT: until then the table cannot be altered. The mark
        comes with the rows: that staging has lost some tells nothing, a server that crashes may lose what it had
        committed (``innodb_flush_log_at_trx_commit``)."""
        if self.exists(staging):
            with contextlib.suppress(MigrationError):  # it is gone now
                self.execute(f"ALTER TABLE {self.q(staging)} COMMENT = ''")
        mark = mark_name(staging)
        return not self.exists(staging) or (self.exists(mark) and self.count(mark) > 0)

    def drop(self, path: Path) -> None:
        """With its mark, which goes behind it: once it is gone nobody asks for the mark."""
        super().drop(path)
        if is_staging(path):
            super().drop(mark_name(path))

    def _end(self, staging: Path) -> None:
        self.execute(f"INSERT INTO {self.q(mark_name(staging))} VALUES (1)")

    def create_like(self, staging: Path, target: Path) -> None:
        self.execute(f"CREATE TABLE {self.q(staging)} LIKE {self.q(target)}")

    def rename(self, path: Path, new: Path) -> None:
        self.execute(f"RENAME TABLE {self.q(path)} TO {self.q((*path[:-1], new[-1]))}")

    def swap(self, staging: Path, target: Path) -> Published:
        old = self.replaced(staging, target)
        self.execute(f"RENAME TABLE {self.q(target)} TO {self.q(old)}, {self.q(staging)} TO {self.q(target)}")
        self.drop(old)
        return Published("RENAME TABLE pair", atomic=True, rows=self.count(target))

    def empty(self, target: Path) -> None:
        with self._in_any_order(target):
            super().empty(target)

    def _insert(self, staging: Path, target: Path, *, whole: bool = False) -> int:
        with self._in_any_order(target) as keys:
            for key in keys:
                self._check_references(staging, target, key)
            return super()._insert(staging, target, whole=whole)

    def _upsert(self, staging: Path, target: Path, key: Sequence[str], *, whole: bool = False) -> int:
        if self._moves_parents(staging, target, key):  # then the engine has to see to those who refer to them
            try:
                return super()._upsert(staging, target, key, whole=whole)
            except MigrationError as error:
                if error.sqlstate == "23503":
                    error.hint = "Name what other rows refer to as the KEY, or transfer rows after those they refer to."
                raise
        with self._in_any_order(target) as keys:
            for foreign in keys:
                self._check_references(staging, target, foreign)
            return super()._upsert(staging, target, key, whole=whole)

    def _moves_parents(self, staging: Path, target: Path, key: Sequence[str]) -> bool:
        """Whether rows that are there would change what is referred to, or a part of what they refer to themselves."""
        moved = set(self._moved(staging))
        for each in self.describe(target).keys:
            if each.kind == "foreign" and moved & set(each.columns) and not moved >= set(each.columns):
                return True
        known = {name.lower() for name in key}
        referred = {
            name.lower()
            for each in self._pointing(target)
            for name in each.referred
            if name.lower() not in known
        }
        changes = [
            f"NOT t.{quoted(name, self.item)} <=> s.{quoted(name, self.item)}"
            for name in moved
            if name.lower() in referred
        ]
        return bool(changes) and bool(
            self.rows(
                f"SELECT 1 FROM {self.q(target)} AS t JOIN {self.q(staging)} AS s ON {self.match('t', 's', key)} "
                f"WHERE {' OR '.join(changes)} LIMIT 1 FOR UPDATE"
            )
        )

    @contextlib.contextmanager
    def _in_any_order(self, target: Path) -> Iterator[tuple[KeySpec, ...]]:
        """InnoDB looks for parents row by row, not once the statement is over. So rows of a table that refers to itself
        go and come unchecked, and who lets them come has to check the references that are given, to any table."""
        spec = self.describe(target)
        keys = tuple(key for key in spec.keys if key.kind == "foreign")
        if all(key.ref_table != spec.path for key in keys):
            yield ()
            return
        self.execute("SET SESSION foreign_key_checks = 0")
        try:
            yield keys
        finally:
            self.execute("SET SESSION foreign_key_checks = 1")

    def _check_references(self, staging: Path, target: Path, key: KeySpec) -> None:
        """23503 where staged rows refer to what is neither staged nor there. Rows that are there stay until COMMIT."""
        names = [quoted(name, self.item) for name in key.columns]
        pairs = [
            f"r.{quoted(there, self.item)} = s.{name}"
            for there, name in zip(key.ref_columns, names, strict=True)
        ]
        lacking = [f"s.{name} IS NOT NULL" for name in names]
        own = key.ref_table == self.describe(target).path
        for table in (key.ref_table, staging) if own else (key.ref_table,):
            lacking.append(
                f"NOT EXISTS (SELECT 1 FROM {self.q(table)} AS r WHERE {' AND '.join(pairs)} LOCK IN SHARE MODE)"
            )
        found = self.rows(
            f"SELECT {', '.join(f's.{name}' for name in names)} FROM {self.q(staging)} AS s "
            f"WHERE {' AND '.join(lacking)} LIMIT 1"
        )
        if found:
            raise MigrationError(
                "23503",
                f'a row of "{target[-1]}" refers to a row of "{key.ref_table[-1]}" that is not there',
                detail=f"Key ({', '.join(key.columns)})=({', '.join(map(str, found[0]))}), constraint {key.name}.",
                hint="Transfer the rows that are referred to along, or before.",
                table=target[-1],
            )

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        sets = ", ".join(f"t.{quoted(name, self.item)} = s.{quoted(name, self.item)}" for name in rest)
        tables = f"{self.q(target)} AS t JOIN {self.q(staging)} AS s"
        return self.execute(f"UPDATE {tables} ON {self.match('t', 's', key)} SET {sets}") or 0

    def insert_missing(self, staging: Path, target: Path, key: Sequence[str], names: Sequence[str]) -> int:
        # Taking away what the target has needs an index on the staged keys only, which publish has made.
        tables = f"{self.q(staging)} AS s JOIN {self.q(target)} AS t"
        self.execute(f"DELETE s FROM {tables} ON {self.match('t', 's', key)}")
        columns = ", ".join(quoted(name, self.item) for name in names)
        insert = f"INSERT INTO {self.q(target)} ({columns}) SELECT {columns} FROM {self.q(staging)}"
        return self.execute(insert) or 0

    def delete_missing(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        with self._in_any_order(target):
            self.execute(
                f"DELETE t FROM {self.q(target)} AS t WHERE NOT EXISTS "
                f"(SELECT 1 FROM {self.q(staging)} AS s WHERE {self.match('t', 's', key)})"
            )

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        fits: tuple[Fit, ...] | None = None
        rows = size = 0
        method = "LOAD DATA LOCAL INFILE"
        # A staging table is dropped or its piece deleted where rows break off. So its batches are committed one by one:
        # the server would take as long to undo a million rows as to take them.
        alone = is_staging(path) and not self.in_transaction
        whole = contextlib.nullcontext() if alone else self.transaction()
        with Scratch() as scratch, whole:
            file = scratch.path / "rows.csv"
            for batch in batches:
                if fits is None:
                    fits = fit(batch.schema, self.describe(path))
                ready = fit_batch(batch, fits)
                with self.transaction():
                    if method.startswith("LOAD"):
                        content = file_content(ready, fits)
                        file.write_bytes(content)
                        size += len(content)
                        if not self._load(path, file, fits, ready.num_rows):
                            method = "multi-row INSERT"
                    if not method.startswith("LOAD"):
                        self._insert_values(path, ready, fits)
                rows += ready.num_rows
        return WriteResult(rows, size, method)

    def begin(self) -> None:
        with self.connector.errors():
            self.session.begin()
        self.in_transaction = True

    def commit(self) -> None:
        with self.connector.errors():
            self.session.commit()
        self.in_transaction = False

    def rollback(self) -> None:
        if self.in_transaction and self.session.open:
            with contextlib.suppress(pymysql.Error):  # a lost connection has rolled back already
                self.session.rollback()
        self.in_transaction = False

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.session)

    def _load(self, path: Path, file: FilePath, fits: Sequence[Fit], sent: int) -> bool:
        """Loads a file; False where the server forbids LOCAL. Any warning is an error."""
        statement = (
            f"LOAD DATA LOCAL INFILE {self.session.escape(str(file))} INTO TABLE {self.q(path)} "
            "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
            f"LINES TERMINATED BY '\\n' {load_columns([item.column for item in fits], self.item)}"
        )
        with self.connector.errors(), self.session.cursor() as cursor:
            try:
                loaded = cursor.execute(statement)
            except pymysql.Error as reason:
                if reason.args and reason.args[0] in NO_LOCAL:
                    return False
                raise
            cursor.execute("SHOW WARNINGS")
            warnings = cursor.fetchall()
        if warnings or loaded != sent:
            number = int(warnings[0][1]) if warnings else 0
            code = CODES.get(number, "HV004")
            cast = "CAST the column in the query, or give the target a type that holds the value."
            raise MigrationError(
                code,
                f"the server changed or refused rows: {warnings[0][2] if warnings else 'rows are missing'}",
                detail=f"Sent {sent} rows, loaded {loaded}, {len(warnings)} warnings. The load is undone.",
                hint=cast if code in ("HV004", "22001", "22003") else None,
            )
        return True

    def _insert_values(self, path: Path, batch: pa.RecordBatch, fits: Sequence[Fit]) -> None:
        names = ", ".join(quoted(item.column.name, self.item) for item in fits)
        marks = ", ".join("UNHEX(%s)" if item.column.type.kind == "unknown" else "%s" for item in fits)
        columns = lone_columns(batch, fits)
        with self.connector.errors(), self.session.cursor() as cursor:
            statement = f"INSERT INTO {self.q(path)} ({names}) VALUES ({marks})".replace("%", "%%")
            cursor.executemany(statement.replace("%%s", "%s"), list(zip(*columns, strict=True)))
