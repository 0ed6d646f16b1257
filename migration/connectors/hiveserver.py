"""Spark SQL and Hive over the HiveServer2 protocol (Spark's Thrift server), through PyHive.

Rules:

1. The protocol binds no parameters. A value never becomes part of a statement as it is: what goes in is one literal of
   the base64 alphabet, and the engine makes rows of it (Spark: from JSON; Hive: one value after the other).
2. What Python's types would round, or have no type for, is read as text or JSON that the engine makes; sessions run in
   UTC, casts fail instead of giving NULL, and ``${…}`` in a statement is not replaced.
3. A session is used by one thread. ``interrupt`` leaves a mark; the thread that waits sees it and cancels.
4. There are no transactions and no keys, and the old files go with the old table: ``replace`` is a pair of renames,
   ``append`` one INSERT, ``upsert`` a new table of what stays and what came, renamed in the same way.
5. Neither keeps NOT NULL for plain files. A read-only datasource is held by the grammar: give it a user without rights.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyhive import exc, hive
from TCLIService.ttypes import TOperationState
from thrift.Thrift import TException

from migration.connectors.base import Mode, Path, Published, ReadColumn, Source, TableEntry, Writer
from migration.connectors.convert import from_texts, from_values
from migration.connectors.dbapi import DbapiConnector, DbapiReader, DbapiWriter
from migration.connectors.queries import quoted, quoted_path, renamed
from migration.datasources.datasource import Datasource
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType

_SETTINGS = {
    "spark": (
        "SET TIME ZONE 'UTC'",
        "SET spark.sql.ansi.enabled=true",
        "SET spark.sql.storeAssignmentPolicy=ANSI",
        "SET spark.sql.variable.substitute=false",
    ),
    "hive": ("SET hive.local.time.zone=UTC", "SET hive.variable.substitute=false"),
}
_STATES = {"42P01": "HV00R", "22018": "22P02", "42601": "42601"}
_CLASSES = {
    "TABLE_OR_VIEW_NOT_FOUND": "HV00R",
    "SCHEMA_NOT_FOUND": "3F000",
    "TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "EXCEED_LIMIT_LENGTH": "22001",
    "SemanticException [Error 10001]": "HV00R",
}
_TEXTS = ("date", "time", "timestamp", "instant", "decimal")
_IN_JSON = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "float32",
    "float64",
    "text",
)  # exact in a JSON both ways
_RUNNING = (TOperationState.INITIALIZED_STATE, TOperationState.RUNNING_STATE, TOperationState.PENDING_STATE)
_WRAPPING = re.compile(
    r"^(?:\*?[\w.$]+HiveSQLException:\s*)?(?:Error running query: )?(?:\[[A-Z_.]+\] )?"
    r"(?:[\w.$]+(?:Exception|Error): \s*)?"
)
_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.1


def connect(datasource: Datasource, options: dict[str, str]) -> HiveConnector:
    """Opens nothing yet."""
    return HiveConnector(datasource, options)


class HiveConnector(DbapiConnector):
    """One server; a datasource's database is the schema where names are looked up."""

    failures = (exc.Error, TException)

    def driver(self) -> Any:
        options = self.options
        scheme = options.get("http_scheme") or None
        return hive.connect(
            host=options.get("host", "localhost"),
            port=int(options.get("port", "10000")),
            username=options.get("user", "bough"),
            password=options.get("password"),
            database=options.get("database") or options.get("schema") or "default",
            auth=options.get("auth") or ("LDAP" if "password" in options else None),
            kerberos_service_name=options.get("kerberos_service_name"),
            scheme=scheme,
        )

    def open(self) -> Any:
        session = super().open()
        try:
            with self.errors():
                for statement in _SETTINGS[self.dialect]:
                    self.run(session, statement).close()
        except BaseException:
            self.closed(session)
            raise
        return session

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            session.bough_stop = True

    def run(self, session: Any, text: str, values: Sequence[Any] = ()) -> Any:
        assert not values, "the protocol binds nothing"
        cursor = session.cursor(arraysize=4096)
        cursor.execute(text, async_=True)
        wait = _FIRST_WAIT
        while (status := cursor.poll()).operationState in _RUNNING:
            if getattr(session, "bough_stop", False):
                cursor.cancel()
                raise self.failed("57014", "the statement was cancelled")
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        if status.operationState != TOperationState.FINISHED_STATE:
            raise exc.OperationalError(status.errorMessage or "the server gave up the statement")
        return cursor

    def code(self, reason: BaseException) -> str:
        text = _text_of(reason)
        for name, state in _CLASSES.items():
            if name in text:
                return state
        if isinstance(reason, TException):
            return "HV00N"
        match = re.search(r"SQLSTATE: (\w{5})", text)
        return _STATES.get(match[1], match[1]) if match else "HV000"

    def failed(self, sqlstate: str, reason: object, hint: str | None = None) -> MigrationError:
        text = _text_of(reason) if isinstance(reason, BaseException) else str(reason)
        return super().failed(sqlstate, text, hint)

    def version(self) -> str:
        return str(self.ask("SELECT version()")[0][0]).split()[0]

    def schemas(self) -> list[str]:
        return [row[0] for row in self.ask("SHOW SCHEMAS")]

    def definition(self, path: Path) -> str | None:
        return "\n".join(str(row[0]) for row in self.ask(f"SHOW CREATE TABLE {quoted_path(path, self.item)}"))

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            found = self._listed(session, schema)
        return [TableEntry(row[0], row[1], "view" if row[2] == "VIEW" else "table") for row in found]

    def _listed(self, session: Any, schema: str | None) -> list[tuple[Any, ...]]:
        where = schema or str(self.rows(session, "SELECT current_database()")[0][0])
        named = quoted(where, self.item)
        listed = {
            kind: {
                str(row[1] if len(row) > 1 else row[0])
                for row in self.rows(session, f"SHOW {kind} IN {named}")
            }
            for kind in ("TABLES", "VIEWS")
        }
        return [
            (where, name, "VIEW" if name in listed["VIEWS"] else "TABLE") for name in sorted(listed["TABLES"])
        ]

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        return tuple(
            _column(item[0], item[1].removesuffix("_TYPE").lower(), self.dialect)
            for item in cursor.description
        )

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        try:
            found = self.rows(session, f"DESCRIBE {quoted_path(path, self.item)}")
        except exc.Error as reason:
            if self.code(reason) in ("HV00R", "3F000"):
                return ()
            raise
        return self._columns(found)

    def _columns(self, rows: Sequence[tuple[Any, ...]]) -> tuple[ColumnSpec, ...]:
        found = []
        for name, declared, comment in rows:
            if not name or name.startswith("#"):  # partitions and properties follow
                break
            found.append(
                _column(name.strip(), declared.strip(), self.dialect, (comment or "").strip() or None)
            )
        return tuple(found)

    def reader(self, snapshot: str | None = None) -> DbapiReader:
        return HiveReader(self, self.open())

    def writer(self) -> Writer:
        self.refuse_writing()
        return HiveWriter(self, self.open())

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        if type_.kind == "bytes":
            return f"hex({expression})"
        if type_.kind in _TEXTS:
            return f"CAST({expression} AS STRING)"
        if type_.is_nested:
            _refuse_in_json(type_)
            return f"to_json({expression}, map('ignoreNullFields', 'false'))"
        return expression

    def renamed(self, source: Source, names: Sequence[str]) -> str | None:
        return (
            renamed(self.item, source, names) if self.dialect == "spark" else None
        )  # Hive refuses such a query

    def arrived(self, values: Sequence[Any], column: ReadColumn) -> pa.Array:
        if column.type.kind in (*_TEXTS, "bytes"):
            return from_texts(pa.array(values, pa.string()), column.type, column.name)
        if column.type.kind == "list":
            values = [None if value is None else json.loads(value) for value in values]
        return from_values(values, column.type, column.name)


class HiveReader(DbapiReader):
    """A session that reads. Spark describes a query with all parameters of its types; Hive's driver without."""

    connector: HiveConnector

    def describe(self, source: Any) -> tuple[ColumnSpec, ...]:
        if source.path or self.connector.dialect != "spark":
            return super().describe(source)
        self.check(source)
        with self.connector.errors():
            return self.connector._columns(
                self.connector.rows(self.session, f"DESCRIBE QUERY {source.query}")
            )

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        for batch in super().stream(text, columns, rows, size):
            if getattr(self.session, "bough_stop", False):
                raise self.connector.failed("57014", "the query was cancelled")
            yield batch


class HiveWriter(DbapiWriter):
    """A session that writes; each statement stands for itself."""

    swaps_always = True
    transactions = False
    connector: HiveConnector
    most_rows = 20_000
    most_binds = 1 << 30
    most_characters = 4_000_000

    def restored(self, mark: str, column: ColumnSpec) -> str:
        declared, type_ = column.declared or "string", column.type
        if type_.kind == "bytes":
            return f"unhex({mark})"
        if type_.is_nested:
            _refuse_in_json(type_)
            return f"from_json({mark}, '{declared}', map('mode', 'FAILFAST'))"
        # A cast to varchar would cut; storing a longer text is an error.
        return mark if type_.kind == "text" else f"CAST({mark} AS {declared})"

    def insert_texts(self, path: Path, columns: Sequence[ColumnSpec], texts: Sequence[Sequence[Any]]) -> None:
        rows = len(texts[0])
        size = sum(len(value) for values in texts for value in values if value is not None)
        if rows > 1 and size > self.most_characters:
            for part in (slice(None, rows // 2), slice(rows // 2, None)):
                self.insert_texts(path, columns, [values[part] for values in texts])
            return
        relation, names = self._relation(texts)
        given = ", ".join(quoted(column.name, self.item) for column in columns)
        made = ", ".join(self.restored(name, column) for name, column in zip(names, columns, strict=True))
        self.execute(f"INSERT INTO {self.q(path)} ({given}) SELECT {made} FROM {relation}")

    def _relation(self, texts: Sequence[Sequence[Any]]) -> tuple[str, list[str]]:
        if self.connector.dialect == "spark":
            rows = json.dumps(list(zip(*texts, strict=True)), separators=(",", ":"))
            parsed = f"from_json({_literal(rows)}, 'array<array<string>>', map('mode', 'FAILFAST'))"
            return f"(SELECT explode({parsed}) AS r) AS v", [f"r[{number}]" for number in range(len(texts))]
        names = [f"c{number}" for number in range(len(texts))]
        values = ", ".join(
            "NULL" if v is None else _literal(v) for row in zip(*texts, strict=True) for v in row
        )
        return f"(SELECT stack({len(texts[0])}, {values}) AS ({', '.join(names)})) AS v", names

    def rename(self, path: Path, new: Path) -> None:
        self.execute(f"ALTER TABLE {self.q(path)} RENAME TO {self.q((*path[:-1], new[-1]))}")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        if not self.exists(target) or mode == "create":
            return super().publish(staging, target, mode, key)
        if mode == "append":
            rows = self._insert(staging, target)
            self.drop(staging)
            return Published("INSERT ... SELECT", atomic=False, rows=rows)
        if mode == "upsert":
            self._keep(staging, target, key)
        return self._renamed(staging, target)

    def _keep(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        """Adds to the staged rows those of the target whose key is not staged."""
        self.check_key(staging, key)
        self.refuse_in_part(staging, target)
        names = ", ".join(quoted(name, self.item) for name in self._names(staging))
        self.execute(
            f"INSERT INTO {self.q(staging)} ({names}) SELECT {names} FROM {self.q(target)} AS t "
            f"LEFT ANTI JOIN (SELECT * FROM {self.q(staging)}) AS s ON {self.match('t', 's', key)}"
        )

    def begin(self) -> None:
        raise MigrationError("0A000", f"{self.connector.dialect} has no transactions here")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Each statement stands for itself."""
        yield


def _literal(text: str) -> str:
    """Any text, in an alphabet that no grammar, escape or substitution touches."""
    return f"decode(unbase64('{base64.b64encode(text.encode()).decode()}'), 'UTF-8')"


def _refuse_in_json(type_: CanonicalType) -> None:
    inside = next((leaf for leaf in type_.leaves() if leaf.kind not in _IN_JSON), None)
    if inside is not None:
        raise MigrationError(
            "HV004",
            f"{inside} inside {type_.kind} does not survive JSON",
            hint="SKIP the column, or CAST it in a query.",
        )


def _column(name: str, declared: str, dialect: str, comment: str | None = None) -> ColumnSpec:
    return ColumnSpec(name, parse_type(declared, dialect), comment=comment, declared=declared)


def _text_of(reason: object) -> str:
    """The server's own sentence: without the driver's wrapping, Java's class names, the plan and the stack."""
    with contextlib.suppress(AttributeError, IndexError, TypeError):
        reason = reason.args[0].status.errorMessage or reason  # type: ignore[attr-defined]
    text = re.split(r"\s+at [\w.$]+\(|;? line \d+ pos \d+;|\n== SQL", str(reason))[0]
    return _WRAPPING.sub("", text).strip()
