"""Trino, through its own client.

Rules:

1. Whose rules a table follows depends on the catalog's connector; it is asked once and picks the contract (Hive,
   Iceberg, Delta, a database behind JDBC).
2. What Python's types would round, or have no type for, is read as text or JSON that the server makes.
3. There are no transactions over several statements. ``replace`` is a pair of renames: nothing is lost at any
   step, and readers may see no table between the two. ``append`` is one INSERT, ``upsert`` one MERGE, where the
   catalog has it.
4. A read-only datasource is held by the grammar; the server's access control should say the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import trino
from trino import exceptions

from migration.connectors.base import Mode, Path, Published, ReadColumn, Source, Writer
from migration.connectors.convert import from_texts, from_values
from migration.connectors.dbapi import DbapiConnector, DbapiWriter
from migration.connectors.merging import merged
from migration.connectors.queries import quoted_path, renamed
from migration.datasources.datasource import Datasource
from migration.dialects import contract
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType

_CODES = {
    "TABLE_NOT_FOUND": "HV00R",
    "SCHEMA_NOT_FOUND": "3F000",
    "CATALOG_NOT_FOUND": "3D000",
    "TABLE_ALREADY_EXISTS": "42P07",
    "COLUMN_NOT_FOUND": "42703",
    "SYNTAX_ERROR": "42601",
    "PERMISSION_DENIED": "42501",
    "USER_CANCELED": "57014",
    "EXCEEDED_TIME_LIMIT": "57014",
    "INVALID_CAST_ARGUMENT": "HV004",
    "NUMERIC_VALUE_OUT_OF_RANGE": "22003",
    "CONSTRAINT_VIOLATION": "23502",
    "NOT_SUPPORTED": "0A000",
}
_FAMILIES = {
    "hive": "trino-hive",
    "iceberg": "trino-iceberg",
    "delta_lake": "trino-delta",
    "delta": "trino-delta",
}
_JDBC = (
    "postgresql",
    "mysql",
    "mariadb",
    "oracle",
    "sqlserver",
    "redshift",
    "snowflake",
    "clickhouse",
    "duckdb",
)
_TEXTS = ("date", "time", "timestamp", "instant", "uuid")


def connect(datasource: Datasource, options: dict[str, str]) -> TrinoConnector:
    """Opens nothing yet."""
    return TrinoConnector(datasource, options)


class TrinoConnector(DbapiConnector):
    """One catalog of a server."""

    failures = (exceptions.Error, exceptions.TrinoConnectionError)

    def __init__(self, datasource: Datasource, options: dict[str, str]) -> None:
        super().__init__(datasource, options)
        self._known = False

    def version(self) -> str:
        return str(self.ask("SELECT node_version FROM system.runtime.nodes WHERE coordinator")[0][0])

    def databases(self) -> list[str]:
        return [name for (name,) in self.ask("SHOW CATALOGS")]

    def definition(self, path: Path) -> str | None:
        return str(self.ask(f"SHOW CREATE TABLE {quoted_path(path, self.item)}")[0][0])

    def writer(self) -> Writer:
        self.refuse_writing()
        return TrinoWriter(self, self.open())

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            for cursor in tuple(getattr(session, "bough_cursors", ())):
                with contextlib.suppress(Exception):  # it may just have ended
                    cursor.cancel()

    def open(self) -> Any:
        session = super().open()
        if not self._known:
            self._known = True
            with self.errors():
                found = self.rows(
                    session,
                    "SELECT connector_name FROM system.metadata.catalogs "
                    f"WHERE catalog_name = '{self._catalog}'",
                )
            kind = found[0][0] if found else ""
            self.item = contract(_FAMILIES.get(kind, "trino-jdbc" if kind in _JDBC else "trino"))
            self.dialect = self.item.name
        return session

    def driver(self) -> Any:
        options = self.options
        secure = options.get("http_scheme", options.get("protocol", "http")).lower() == "https"
        limit = self.datasource.statement_timeout
        return trino.dbapi.connect(  # type: ignore[no-untyped-call]
            host=options.get("host", "localhost"),
            port=int(options.get("port", "443" if secure else "8080")),
            user=options.get("user", "bough"),
            auth=trino.auth.BasicAuthentication(options.get("user", ""), options["password"])
            if "password" in options
            else None,
            catalog=self._catalog,
            schema=options.get("schema") or options.get("database", "default"),
            http_scheme="https" if secure else "http",
            verify=options.get("sslrootcert")
            or options.get("verify", "true").lower() not in ("false", "0", "off"),
            timezone="UTC",
            source="bough",
            request_timeout=max(1, round(self.datasource.connect_timeout)),
            session_properties={"query_max_run_time": f"{limit:g}s"} if limit else None,
        )

    @property
    def _catalog(self) -> str:
        return self.options.get("catalog", "hive").replace("'", "")

    @contextmanager
    def errors(self) -> Iterator[None]:
        with super().errors():
            try:
                yield
            except OSError as reason:  # requests' errors are these
                raise self.failed("HV00N", reason) from None

    def code(self, reason: BaseException) -> str:
        name = str(getattr(reason, "error_name", None) or "")
        return _CODES.get(name, "HV00N" if isinstance(reason, exceptions.TrinoConnectionError) else "HV000")

    def run(self, session: Any, text: str, values: Sequence[Any] = ()) -> Any:
        cursor = super().run(session, text, values)
        # Held for interrupt; the client has no list of its own.
        session.bough_cursors = [*getattr(session, "bough_cursors", [])[-3:], cursor]
        return cursor

    def finish(self, cursor: Any) -> None:
        cursor.fetchall()

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        return tuple(
            ColumnSpec(item[0], parse_type(item[1], "trino"), declared=item[1]) for item in cursor.description
        )

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        table = path[-1].replace("'", "''")
        found = self.rows(
            session,
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
            f"WHERE table_schema = {self.home(path[-2] if len(path) > 1 else None)} AND table_name = '{table}' "
            "ORDER BY ordinal_position",
        )
        return tuple(
            ColumnSpec(row[0], parse_type(row[1], "trino"), row[2] == "YES", declared=row[1]) for row in found
        )

    def home(self, schema: str | None) -> str:
        return "current_schema" if schema is None else super().home(schema)

    def renamed(self, source: Source, names: Sequence[str]) -> str:
        return renamed(self.item, source, names)

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        if type_.kind == "instant":
            return (
                f"CAST(CAST({expression} AT TIME ZONE 'UTC' AS timestamp({type_.precision or 0})) AS varchar)"
            )
        if type_.kind in _TEXTS:
            return f"CAST({expression} AS varchar)"
        if type_.kind == "json":
            return f"json_format({expression})"
        if type_.kind in ("list", "map", "struct"):
            return f"json_format(CAST({expression} AS json))"
        return expression

    def arrived(self, values: Sequence[Any], column: ReadColumn) -> pa.Array:
        if column.type.kind in _TEXTS:
            return from_texts(pa.array(values, pa.string()), column.type, column.name)
        return from_values(values, column.type, column.name)


class TrinoWriter(DbapiWriter):
    """One session that writes; each statement stands for itself."""

    swaps_always = True
    transactions = False
    connector: TrinoConnector
    most_characters = 500_000  # the server takes a million in one statement

    def restored(self, mark: str, column: ColumnSpec) -> str:
        declared, kind = column.declared or "varchar", column.type.kind
        if kind == "bytes":
            return f"from_hex({mark})"
        if kind == "json":
            return f"json_parse({mark})"
        if kind in ("list", "map", "struct"):
            return f"CAST(json_parse({mark}) AS {declared})"
        if kind == "instant":
            return f"CAST({mark} || ' UTC' AS {declared})"
        return f"CAST({mark} AS {declared})"

    def insert_texts(self, path: Path, columns: Sequence[ColumnSpec], texts: Sequence[Sequence[Any]]) -> None:
        rows = len(texts[0])
        size = sum(len(value) for values in texts for value in values if value is not None)
        if rows > 1 and size > self.most_characters:
            half = rows // 2
            self.insert_texts(path, columns, [values[:half] for values in texts])
            self.insert_texts(path, columns, [values[half:] for values in texts])
            return
        super().insert_texts(path, columns, texts)

    def create_like(self, staging: Path, target: Path) -> None:
        self.execute(f"CREATE TABLE {self.q(staging)} (LIKE {self.q(target)} INCLUDING PROPERTIES)")

    def rename(self, path: Path, new: Path) -> None:
        self.execute(f"ALTER TABLE {self.q(path)} RENAME TO {self.q((*path[:-1], new[-1]))}")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        if not self.exists(target) or mode == "create":
            return super().publish(staging, target, mode, key)
        if mode in ("replace", "recreate"):
            return self._renamed(staging, target)
        if mode == "upsert":
            self.check_key(staging, key)
            rows = merged(self, staging, target, key, self._moved(staging))
        else:
            rows = self._insert(staging, target)
        self.drop(staging)
        return Published("MERGE" if mode == "upsert" else "INSERT ... SELECT", atomic=True, rows=rows)

    def begin(self) -> None:
        raise MigrationError("0A000", "Trino has no transactions over several statements here")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Each statement stands for itself."""
        yield
