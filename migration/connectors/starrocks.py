"""StarRocks and Doris: the MySQL protocol for catalog and reading, Stream Load for writing.

Rules:

1. Rows are read as Python values of the MySQL protocol; sessions are in UTC.
2. ``replace`` is the engine's own swap of two tables (StarRocks) or replacement by one (Doris); ``append`` one
   INSERT ... SELECT; ``upsert`` one INSERT into a table whose key model replaces rows by that very key, and is
   refused for others.
3. There are no read-only transactions: a read-only datasource is held by the grammar, and should have a user
   without rights to write.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pymysql

from migration.connectors import mysql_session
from migration.connectors.base import Mode, Path, Published, WriteResult
from migration.connectors.base import Writer as AnyWriter
from migration.connectors.convert import unfit
from migration.connectors.dbapi import DbapiConnector, DbapiWriter, finite
from migration.connectors.fitting import fit_batch
from migration.connectors.mysql_catalog import columns_of_result
from migration.connectors.mysql_errors import CODES, message_of
from migration.connectors.opening import TO_STOP
from migration.connectors.queries import quoted_path
from migration.connectors.stream_load import StreamLoad
from migration.connectors.texts import to_texts
from migration.datasources.datasource import Datasource
from migration.dialects.quoting import quote_text
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType

_KEYS = re.compile(r"\b(?:PRIMARY|UNIQUE)\s+KEY\s*\(([^)]*)\)", re.IGNORECASE)


def connect(datasource: Datasource, options: dict[str, str]) -> StarrocksConnector:
    """Opens nothing yet."""
    return StarrocksConnector(datasource, options)


class StarrocksConnector(DbapiConnector):
    """One cluster; a schema is one of its databases."""

    failures = (pymysql.Error,)

    def version(self) -> str:
        return str(
            self.ask("SELECT current_version()" if self.dialect == "starrocks" else "SELECT version()")[0][0]
        )

    def definition(self, path: Path) -> str | None:
        return str(self.ask(f"SHOW CREATE TABLE {quoted_path(path, self.item)}")[0][1])

    def writer(self) -> AnyWriter:
        self.refuse_writing()
        return StarrocksWriter(self, self.open())

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            with contextlib.suppress(MigrationError, pymysql.Error), self.session() as killer:
                mysql_session.kill(killer, session, TO_STOP)

    def driver(self) -> Any:
        options = self.options
        catalog, database = options.get("catalog"), options.get("database") or options.get("schema")
        home = f"{catalog}.{database}" if catalog and database else database

        def prepare(cursor: Any) -> None:
            cursor.execute("SET time_zone = '+00:00'")
            if self.datasource.statement_timeout:
                cursor.execute(f"SET query_timeout = {max(1, round(self.datasource.statement_timeout))}")

        return mysql_session.opened(options, "9030", self.datasource.connect_timeout, prepare, database=home)

    def cut(self, session: Any) -> None:
        mysql_session.cut(session)

    def code(self, reason: BaseException) -> str:
        number = reason.args[0] if reason.args and isinstance(reason.args[0], int) else 0
        return CODES.get(number, "HV00N" if 2000 <= number < 2100 else "HV000")

    def failed(self, sqlstate: str, reason: object, hint: str | None = None) -> MigrationError:
        return super().failed(
            sqlstate, message_of(reason) if isinstance(reason, pymysql.Error) else reason, hint
        )

    def home(self, schema: str | None) -> str:
        return "DATABASE()" if schema is None else super().home(schema)

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        return columns_of_result(cursor)

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        found = self.rows(
            session,
            "SELECT column_name, column_type, is_nullable, column_default, column_comment "
            "FROM information_schema.columns WHERE "
            f"table_schema = {self.home(path[-2] if len(path) > 1 else None)} "
            f"AND table_name = {quote_text(path[-1], self.item)} ORDER BY ordinal_position",
        )
        return tuple(
            ColumnSpec(
                row[0],
                parse_type(row[1], self.dialect),
                row[2] == "YES",
                None if row[3] in (None, "NULL") else str(row[3]),
                comment=row[4] or None,
                declared=row[1],
            )
            for row in found
        )

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        return f"CAST({expression} AS STRING)" if type_.kind in ("list", "map", "struct") else expression

    @property
    def load(self) -> StreamLoad:
        """Stream Load of the cluster's frontend."""
        options = self.options
        return StreamLoad(
            self.dialect,
            options.get("host", "127.0.0.1"),
            int(options.get("http_port", "8030")),
            options.get("user", ""),
            options.get("password", ""),
            secure=options.get("protocol", "http").lower() == "https",
            timeout=float(options.get("read_timeout", "600")),
        )


class StarrocksWriter(DbapiWriter):
    """One session for statements, and Stream Load for rows."""

    swaps_always = True
    transactions = False
    connector: StarrocksConnector

    def restored(self, mark: str, column: ColumnSpec) -> str:
        """How Stream Load's ``columns`` makes a column of its text."""
        name = f"`{column.name}`"
        if column.type.kind == "bytes":
            return f"{mark}, {name} = from_binary({mark}, 'hex')"
        return name

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        fits, rows, size = None, 0, 0
        load, database = self.connector.load, self._database(path)
        for batch in batches:
            if fits is None:
                fits = self._fits(batch.schema, path)
            if not batch.num_rows:
                continue
            ready = fit_batch(batch, fits)
            columns = [item.column for item in fits]
            marks = [f"bough_{number}" for number in range(len(columns))]
            keys = [
                mark if column.type.kind == "bytes" else column.name
                for mark, column in zip(marks, columns, strict=True)
            ]
            values = [_values(array, column) for array, column in zip(ready.columns, columns, strict=True)]
            body = json.dumps(
                [dict(zip(keys, row, strict=True)) for row in zip(*values, strict=True)], ensure_ascii=False
            ).encode()
            mapping = ", ".join(
                self.restored(mark, column) for mark, column in zip(marks, columns, strict=True)
            )
            try:
                load.load(database, path[-1], mapping, body, ready.num_rows)
            except OSError as reason:
                raise self.connector.failed("HV00N", f"Stream Load: {reason}") from None
            rows, size = rows + ready.num_rows, size + len(body)
        return WriteResult(rows, size, "Stream Load")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        if not self.exists(target) or mode == "create":
            return super().publish(staging, target, mode, key)
        if mode in ("replace", "recreate"):
            if self.connector.dialect == "doris":
                self.execute(
                    f"ALTER TABLE {self.q(target)} REPLACE WITH TABLE {self.q(staging[-1:])} "
                    "PROPERTIES ('swap' = 'false')"
                )
            else:
                self.execute(f"ALTER TABLE {self.q(target)} SWAP WITH {self.q(staging[-1:])}")
                self.drop(staging)
            return Published("swap", atomic=True, rows=self.count(target))
        if mode == "upsert":
            self.check_key(staging, key)
            self._check_model(target, key)
            self.refuse_in_part(staging, target)
        rows = self.count(staging)
        self._insert(staging, target)
        self.drop(staging)
        return Published("INSERT ... SELECT", atomic=True, rows=rows)

    def rename(self, path: Path, new: Path) -> None:
        self.execute(f"ALTER TABLE {self.q(path)} RENAME {self.q(new[-1:])}")

    def begin(self) -> None:
        raise MigrationError(
            "0A000", f"{self.connector.dialect} has no transactions over several statements here"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Each statement stands for itself."""
        yield

    def _check_model(self, target: Path, key: Sequence[str]) -> None:
        match = _KEYS.search(self.connector.definition(target) or "")
        found = tuple(name.strip().strip("`") for name in match[1].split(",")) if match else ()
        if set(found) != set(key):
            raise MigrationError(
                "0A000",
                f'table "{".".join(target)}" does not replace rows by ({", ".join(key)})',
                detail=f"Its key model replaces by ({', '.join(found)})."
                if found
                else "It keeps duplicates.",
                hint="Use a PRIMARY KEY or UNIQUE KEY table with that key, or MODE replace.",
            )

    def _database(self, path: Path) -> str:
        return path[-2] if len(path) > 1 else str(self.rows("SELECT DATABASE()")[0][0])


def _values(array: pa.Array, column: ColumnSpec) -> list[Any]:
    """JSON values: strings the engine casts, booleans, and nested values as they are."""
    if pa.types.is_floating(array.type) and not finite(array):
        raise unfit(column.name, column.type, "the engine has neither NaN nor infinity")
    if pa.types.is_boolean(array.type):
        return array.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = pc.cast(array, pa.int64()).cast(pa.timestamp(array.type.unit))
    texts = to_texts(array).to_pylist()
    if column.type.kind in ("list", "map", "struct", "json"):
        return [None if text is None else json.loads(text) for text in texts]
    return texts  # type: ignore[no-any-return]
