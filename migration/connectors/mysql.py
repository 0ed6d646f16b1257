"""MySQL and MariaDB, through PyMySQL.

Rules:

1. A reader is one ``START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`` (InnoDB; other storage engines
   have no snapshots).
2. The server makes one CSV line of every row and Arrow parses blocks of them: a value each in Python would
   be eight times slower. ``FLOAT`` goes through DOUBLE, because its own text has six digits.
3. Rows go in by LOAD DATA LOCAL INFILE, a batch at a time, in a transaction. LOCAL turns errors into
   warnings, so one warning, or one row less than sent, undoes the load. Where the server forbids LOCAL, by
   INSERT with bound values.
4. A session is strict, in UTC, in utf8mb4, whatever the server's defaults are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import SSCursor

from migration.connectors import mysql_catalog, mysql_session
from migration.connectors.base import (
    Answer,
    Path,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    Writer,
)
from migration.connectors.csv_blocks import read_block
from migration.connectors.mysql_catalog import columns_of_result, remote_table, table_columns
from migration.connectors.mysql_errors import CODES, MODE, message_of
from migration.connectors.mysql_lines import QUOTE, exported, packets, restored
from migration.connectors.opening import TO_STOP, SqlConnector
from migration.connectors.queries import named_before, quoted, relation
from migration.connectors.reading import SqlReader
from migration.connectors.telling import of_cursor
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec


def connect(datasource: Datasource, options: dict[str, str]) -> MysqlConnector:
    """Opens nothing yet."""
    return MysqlConnector(datasource, options)


class MysqlConnector(SqlConnector[Any]):
    """One server; a schema is one of its databases."""

    def version(self) -> str:
        text = str(self.ask("SELECT version()")[0][0])
        return text.split("-")[0]

    def databases(self) -> list[str]:
        return self.schemas()

    def schemas(self) -> list[str]:
        hidden = ("information_schema", "mysql", "performance_schema", "sys")
        return [name for (name,) in self.ask("SHOW DATABASES") if name not in hidden]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        found = self.ask(
            "SELECT table_schema, table_name, table_type, table_rows FROM information_schema.tables "
            "WHERE table_schema = COALESCE(%s, DATABASE()) ORDER BY 1, 2",
            [schema],
        )
        return [
            TableEntry(row[0], row[1], "view" if row[2] == "VIEW" else "table", row[3])
            for row in found
            if row[2] in ("BASE TABLE", "VIEW")
        ]

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            found = remote_table(session, path)
        if found is None:
            raise self.missing(path)
        return found

    def definition(self, path: Path) -> str | None:
        name = ".".join(quoted(part, self.item) for part in path)
        return str(self.ask(f"SHOW CREATE TABLE {name}")[0][1])

    def reader(self, snapshot: str | None = None) -> MysqlReader:
        return MysqlReader(self, self.open())

    def writer(self) -> Writer:
        from migration.connectors.mysql_writer import MysqlWriter  # it reads with this module's reader

        self.refuse_writing()
        return MysqlWriter(self, self.open(local_infile=True))

    def refuse_lasting(self, statement: str) -> None:
        """MyISAM and its like keep what was rolled back."""
        mysql_catalog.refuse_lasting(statement, self.ask)

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            self.kill(session)

    def kill(self, session: Any) -> None:
        """Ends what another session runs."""
        with contextlib.suppress(MigrationError, pymysql.Error):
            killer = self.open()
            try:
                mysql_session.kill(killer, session, TO_STOP)
            finally:
                self.closed(killer)

    def ask(self, text: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """One question in a session of its own."""
        with self.session() as session, session.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())

    def open(self, *, local_infile: bool = False) -> Any:
        """A strict session in UTC."""
        options = self.options
        names = {"sslrootcert": "ssl_ca", "sslcert": "ssl_cert", "sslkey": "ssl_key"}
        given: dict[str, Any] = {names[name]: text for name, text in options.items() if name in names}
        for name in ("ssl_verify_cert", "ssl_verify_identity"):
            if name in options:
                given[name] = options[name].lower() in ("true", "1", "on", "yes")
        try:
            session = self.brought(lambda: self._opened(local_infile, given))
        except (pymysql.Error, ValueError, OSError) as reason:  # OSError: a file of TLS that is not there
            raise self.failed("HV00N", message_of(reason)) from None
        self._sessions.append(session)
        return session

    def _opened(self, local_infile: bool, given: dict[str, Any]) -> Any:
        options = self.options

        def prepare(cursor: Any) -> None:
            cursor.execute("SET time_zone = '+00:00'")
            if seconds := self.datasource.statement_timeout:
                maria = "MariaDB" in cursor.connection.get_server_info()
                cursor.execute(
                    "SET SESSION max_statement_time = %s" if maria else "SET SESSION max_execution_time = %s",
                    [seconds if maria else round(seconds * 1000)],
                )
            if self.read_only:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")

        return mysql_session.opened(
            options,
            "3306",
            self.datasource.connect_timeout,
            prepare,
            database=options.get("database") or options.get("schema"),
            unix_socket=options.get("unix_socket"),
            sql_mode=MODE,
            client_flag=CLIENT.FOUND_ROWS,  # rows that match, as everywhere else, not rows that differ
            local_infile=local_infile,
            **given,
        )

    def cut(self, session: Any) -> None:
        mysql_session.cut(session)

    def closed(self, session: Any) -> None:
        with contextlib.suppress(pymysql.Error):
            super().closed(session)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The server's errors as ours."""
        try:
            yield
        except AttributeError as reason:
            if "sendall" not in str(reason):
                raise
            raise self.failed(
                "HV00N", "the connection was lost while rows were sent"
            ) from None  # in its own words
        except pymysql.Error as reason:
            number = reason.args[0] if reason.args and isinstance(reason.args[0], int) else 0
            code = CODES.get(number, "HV00N" if 2000 <= number < 2100 else "HV000")
            raise self.failed(code, message_of(reason)) from None


class MysqlReader(SqlReader):
    """One snapshot."""

    def __init__(self, connector: MysqlConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        with connector.errors(), session.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors(), self.session.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def answer(self, text: str) -> Answer:
        """What SHOW, EXPLAIN or DESCRIBE says."""
        with self.connector.errors(), self.session.cursor() as cursor:
            cursor.execute(text)
            return of_cursor(cursor)

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        with self.connector.errors(), self.session.cursor() as cursor:
            if source.path:
                columns = table_columns(self.session, source.path)
                if not columns:
                    raise self.connector.missing(source.path)
                return columns
            cursor.execute(f"SELECT * FROM {relation(self.item, source)} LIMIT 0")
            return columns_of_result(cursor)

    def names(self, source: Source) -> list[str]:
        """The names of a query's columns, which may be the same: no row of it is asked for."""
        with self.connector.errors(), self.session.cursor() as cursor:
            cursor.execute("SET SESSION sql_select_limit = 0")
            try:
                cursor.execute(source.query)
                return [str(column[0]) for column in cursor.description]
            finally:
                cursor.execute("SET SESSION sql_select_limit = DEFAULT")

    def renamed(self, source: Source, names: Sequence[str]) -> str:
        """A query with its columns under other names; MariaDB lets a subquery have none."""
        return named_before(self.item, source, names)

    def projection(self, column: ReadColumn) -> str:
        return exported(column.expression or quoted(column.name, self.item), column.type)

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        lone = ["1"] if len(columns) == 1 else []  # a lone NULL would be an empty line
        fields = ", ',', ".join([*lone, *super().projections(columns)])
        return [f"CONCAT({fields})"]  # not CONCAT_WS, which leaves a field out that the server could not make

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        block: list[bytes] = []
        held = 0
        casts = any((column.expression or "").startswith("CAST(") for column in columns)
        with self.connector.errors(), contextlib.closing(self._lines(text, casts)) as lines:
            for packet in lines:
                block.append(packet)
                held += len(packet)
                if len(block) >= rows or held >= size:
                    yield read_block(b"\n".join(block) + b"\n", columns, QUOTE, restored)
                    block, held = [], 0
            if block:
                yield read_block(b"\n".join(block) + b"\n", columns, QUOTE, restored)

    def _lines(self, text: str, casts: bool) -> Generator[bytes, None, None]:
        """The rows of a query. A CAST that does not fit is a warning here, and another value: so it is refused."""
        cursor = self.session.cursor(SSCursor)
        cursor.execute(text)
        finished = False
        try:
            warnings = yield from packets(self.session)
            finished = True
            if warnings and casts:
                _, _, said = self.rows("SHOW WARNINGS LIMIT 1")[0]
                raise MigrationError(
                    "HV004",
                    f"a CAST has changed a value: {said}",
                    detail=f"The server gave {warnings} warnings.",
                    hint="CAST it to a type that holds every value, or say in a query what becomes of the others.",
                )
        finally:
            left = self.session._result
            # An error is the last thing of a result: whoever read on would wait for ever.
            if not finished and self.session.open and left is not None and left.unbuffered_active:
                self.connector.kill(self.session)
                with contextlib.suppress(pymysql.Error):
                    for _ in packets(self.session):
                        pass
            for result in (left, cursor._result):  # of a connection that is cut the driver keeps no result
                if result is not None:
                    result.unbuffered_active = False

    def close(self) -> None:
        self.connector.closed(self.session)
