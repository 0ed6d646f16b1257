"""Snowflake, through snowflake-connector-python.

Rules:

1. Sessions are in UTC. Moments are read as nanoseconds since 1970, because Python's have microseconds; nested
   values are read as their JSON.
2. There are no read-only transactions: a read-only datasource is held by the grammar, and should have a role
   without rights to write.
3. ``replace`` is DELETE and INSERT in one transaction: grants, streams and policies stay, which a SWAP would
   exchange. ``upsert`` is one MERGE.
4. Names are taken as they are written, and in capitals if there is no such table: that is what Snowflake made of
   an unquoted one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import snowflake.connector
from snowflake.connector import errors as driver_errors

from migration.connectors.arrow import arrow_type
from migration.connectors.base import Path, ReadColumn, RemoteTable, Source, Writer
from migration.connectors.convert import from_values, unfit
from migration.connectors.dbapi import DbapiConnector, DbapiReader
from migration.connectors.merging import MergingWriter
from migration.connectors.queries import named_before, quoted_path
from migration.datasources.datasource import Datasource
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType, byte_string, decimal, instant, json, of, text, time, timestamp

_CODES = {
    2003: "HV00R",
    2043: "HV00R",
    2002: "42P07",
    1003: "42601",
    604: "57014",
    390100: "28P01",
    100072: "23502",
    904: "42703",
}
_KINDS = {1: of("float64"), 3: of("date"), 5: json(), 9: json(), 10: json(), 13: of("bool")}
_MOMENTS = ("timestamp", "instant")


def connect(datasource: Datasource, options: dict[str, str]) -> SnowflakeConnector:
    """Opens nothing yet."""
    return SnowflakeConnector(datasource, options)


class SnowflakeConnector(DbapiConnector):
    """One account, in a database."""

    failures = (driver_errors.Error,)

    def version(self) -> str:
        return str(self.ask("SELECT CURRENT_VERSION()")[0][0])

    def definition(self, path: Path) -> str | None:
        with self.session() as session:
            name = quoted_path(self.found(session, path), self.item).replace("'", "''")
            return str(self.rows(session, f"SELECT GET_DDL('TABLE', '{name}')")[0][0])

    def reader(self, snapshot: str | None = None) -> DbapiReader:
        return _Reader(self, self.open())

    def writer(self) -> Writer:
        self.refuse_writing()
        return SnowflakeWriter(self, self.open())

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            with contextlib.suppress(driver_errors.Error, MigrationError), self.session() as killer:
                self.run(killer, f"SELECT SYSTEM$CANCEL_ALL_QUERIES({int(session.session_id)})")

    def driver(self) -> Any:
        options = self.options
        names = ("account", "user", "password", "database", "schema", "warehouse", "role", "private_key_file")
        given: dict[str, Any] = {
            name: options[name] for name in (*names, "private_key_file_pwd") if name in options
        }
        settings: dict[str, Any] = {"TIMEZONE": "UTC"}
        if self.datasource.statement_timeout:
            settings["STATEMENT_TIMEOUT_IN_SECONDS"] = max(1, round(self.datasource.statement_timeout))
        return snowflake.connector.connect(
            paramstyle="qmark",
            login_timeout=max(1, round(self.datasource.connect_timeout)),
            session_parameters=settings,
            application="bough",
            **given,
        )

    def code(self, reason: BaseException) -> str:
        number = getattr(reason, "errno", None) or 0
        state = str(getattr(reason, "sqlstate", None) or "")
        return _CODES.get(number) or (state if len(state) == 5 and state != "99999" else "HV000")

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        return tuple(
            ColumnSpec(item.name, _type(item), bool(item.is_nullable)) for item in cursor.description
        )

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        for written in dict.fromkeys((path, tuple(part.upper() for part in path))):
            try:
                found = self.rows(session, f"DESCRIBE TABLE {quoted_path(written, self.item)}")
            except driver_errors.ProgrammingError as reason:
                if self.code(reason) != "HV00R":
                    raise
                continue
            if not found:
                continue
            return tuple(
                ColumnSpec(
                    row[0],
                    parse_type(row[1], "snowflake"),
                    row[3] == "Y",
                    row[4] or None,
                    comment=row[9] or None,
                    declared=row[1],
                )
                for row in found
            )
        return ()

    def found(self, session: Any, path: Path) -> Path:
        """The path as it is spelled there."""
        upper = tuple(part.upper() for part in path)
        if path == upper:
            return path
        schema = path[-2] if len(path) > 1 else None
        for home, written in ((schema, path), (schema and schema.upper(), upper)):
            if any(row[1] == written[-1] for row in self._listed(session, home)):
                return written
        return path

    def table(self, session: Any, path: Path) -> RemoteTable | None:
        return super().table(session, self.found(session, path))

    def renamed(self, source: Source, names: Sequence[str]) -> str:
        return named_before(self.item, source, names)

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        if type_.kind in _MOMENTS:
            return f"DATE_PART(EPOCH_NANOSECOND, {expression})"
        if type_.kind in ("json", "list", "struct", "map"):
            return f"TO_JSON({expression})"
        if type_.kind == "time":
            return f"TO_CHAR({expression}, 'HH24:MI:SS.FF9')"
        return expression

    def arrived(self, values: Sequence[Any], column: ReadColumn) -> pa.Array:
        if column.type.kind not in _MOMENTS:
            return from_values(values, column.type, column.name)
        wanted = arrow_type(column.type)
        ticks: list[int | None] = []
        for value in values:
            number = None if value is None else int(value)
            if number is not None and wanted.unit == "us":
                number, rest = divmod(number, 1000)
                if rest:
                    raise unfit(column.name, column.type, "a value has nanoseconds")
            ticks.append(number)
        try:
            return pa.array(ticks, pa.int64()).view(wanted)
        except OverflowError as reason:
            raise unfit(column.name, column.type, str(reason)) from None


class _Reader(DbapiReader):
    connector: SnowflakeConnector

    def read(self, source: Source, columns: Sequence[ReadColumn] | None = None, **how: Any) -> Any:
        return super().read(self._found(source), columns, **how)

    def count(self, source: Source, where: Any = ()) -> int:
        return super().count(self._found(source), where)

    def _found(self, source: Source) -> Source:
        if not source.path:
            return source
        with self.connector.errors():
            return Source(path=self.connector.found(self.session, source.path))


class SnowflakeWriter(MergingWriter):
    """One session that writes."""

    connector: SnowflakeConnector

    def staging(self, target: Path, job: str) -> Path:
        with self.connector.errors():
            found = self.connector.found(self.session, target)
        return super().staging(found, job)

    def q(self, path: Sequence[str]) -> str:
        with self.connector.errors():
            return super().q(self.connector.found(self.session, tuple(path)))

    def values(self, rows: int, columns: int) -> tuple[str, Sequence[str]]:
        row = f"({', '.join('?' * columns)})"
        return f"VALUES {', '.join([row] * rows)}", [f"column{number + 1}" for number in range(columns)]

    def restored(self, mark: str, column: ColumnSpec) -> str:
        declared, kind = column.declared or "VARCHAR", column.type.kind
        if kind == "bytes":
            return f"TO_BINARY({mark}, 'HEX')"
        if kind == "json":
            return f"PARSE_JSON({mark})"
        if kind == "instant":
            return f"CAST({mark} || '+00:00' AS {declared})"
        if kind == "text":
            return mark
        return f"CAST({mark} AS {declared})"

    def rename(self, path: Path, new: Path) -> None:
        # A bare new name would move the table to the session's schema.
        self.execute(f"ALTER TABLE {self.q(path)} RENAME TO {quoted_path((*path[:-1], new[-1]), self.item)}")


def _type(item: Any) -> CanonicalType:
    code = item.type_code
    if code == 0:
        return decimal(item.precision or 38, item.scale or 0)
    if code == 2:
        return text()
    if code == 11:
        return byte_string()
    if code in (4, 8):
        return timestamp(9 if item.scale is None else item.scale)
    if code in (6, 7):
        return instant(9 if item.scale is None else item.scale)
    if code == 12:
        return time(9 if item.scale is None else item.scale)
    return _KINDS.get(code) or CanonicalType("unknown", name=f"type {code}")
