"""Any database that SQLAlchemy has a dialect for; careful, because little is known about it.

Rules:

1. Where SQLAlchemy's dialect is one of ours (PostgreSQL, MySQL, SQLite, …) that contract is used, else the generic
   one. Quoting, grammar and DDL follow the contract.
2. Values pass the driver untouched: SQLAlchemy's own conversions (decimals to floats on SQLite) stay outside, and what
   drivers change by themselves is asked for in another form (``alchemy_forms``).
3. A table's columns are typed by its catalog. A query has no types that all drivers tell, so they are found by
   reading it once more, all of it: every value must agree.
4. A reader is not a snapshot we can vouch for: ``consistent`` is False. It is never committed; PostgreSQL, MySQL,
   Oracle and SQLite refuse writing besides.
5. DuckDB files are not opened this way: ``TYPE duckdb`` knows which ones must not be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc

from migration.connectors import alchemy_forms, mysql_catalog
from migration.connectors.alchemy_catalog import Seen, entries, remote_table
from migration.connectors.base import Path, Predicate, ReadColumn, RemoteTable, Source, TableEntry, Writer
from migration.connectors.convert import from_values
from migration.connectors.csv_blocks import UNAMBIGUOUS
from migration.connectors.files import refuse_passing
from migration.connectors.mysql_errors import MODE
from migration.connectors.opening import SqlConnector
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.datasources.datasource import Datasource
from migration.dialects import contract
from migration.errors import MigrationError
from migration.model import ColumnSpec

_CONTRACTS = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "trino": "trino",
    "clickhouse": "clickhouse",
    "clickhousedb": "clickhouse",
    "bigquery": "bigquery",
}
_MYSQL = f"SET SESSION time_zone = '+00:00', SESSION sql_mode = '{MODE}'"
_POSTGRES = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', false)" for name, value in UNAMBIGUOUS.items()
)
_EXACT = {"postgresql": _POSTGRES, "mysql": _MYSQL, "mariadb": _MYSQL}
_READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


def connect(datasource: Datasource, options: dict[str, str]) -> AlchemyConnector:
    """Opens nothing yet."""
    return AlchemyConnector(datasource, options)


class AlchemyConnector(SqlConnector[Any]):
    """One database behind a URL."""

    def __init__(self, datasource: Datasource, options: dict[str, str]) -> None:
        super().__init__(datasource, options)
        driver = options["driver"]
        family = driver.partition("+")[0].lower()
        if family == "duckdb":
            raise MigrationError(
                "0A000",
                "SQLAlchemy does not open DuckDB files here",
                hint="CREATE DATASOURCE ... TYPE duckdb.",
            )
        self.item = contract(_CONTRACTS.get(family, "generic"))
        self.dialect = self.item.name
        self.family = family
        try:
            url = sa.URL.create(
                driver,
                options.get("user"),
                options.get("password"),
                options.get("host"),
                int(options["port"]) if "port" in options else None,
                options.get("database"),
                dict(part.partition("=")[::2] for part in options.get("query", "").split("&") if part),
            )
            self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError) as reason:
            raise self.failed("HV00A", f"SQLAlchemy has no use for this: {reason}") from None
        except ImportError as reason:
            raise MigrationError(
                "HV000",
                f'the driver of "{driver}" is not installed',
                detail=str(reason),
                hint="pip install it beside bough[sqlalchemy].",
            ) from None

    def version(self) -> str:
        with self.session() as session:
            found = session.dialect.server_version_info
        return ".".join(str(part) for part in found or ())

    def databases(self) -> list[str]:
        return [self.options["database"]] if "database" in self.options else []

    def schemas(self) -> list[str]:
        with self.session() as session:
            return list(sa.inspect(session).get_schema_names())

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            return entries(session, schema)

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            found = remote_table(session, path, self.item)
        if found is None:
            raise self.missing(path)
        return found

    def reader(self, snapshot: str | None = None) -> AlchemyReader:
        return AlchemyReader(self, self.open())

    def writer(self) -> Writer:
        from migration.connectors.alchemy_writer import AlchemyWriter  # it needs this module

        self.refuse_writing()
        return AlchemyWriter(self, self.open(reading=False))

    def refuse_writing(self) -> None:
        super().refuse_writing()
        if self.family == "sqlite":
            refuse_passing(self.name, self.options.get("database") or ":memory:")

    def refuse_lasting(self, statement: str) -> None:
        """MyISAM and its like keep what was rolled back."""
        if self.dialect == "mysql":
            with self.session() as session:
                mysql_catalog.refuse_lasting(
                    statement, lambda text: session.exec_driver_sql(text.replace("%", "%%")).fetchall()
                )

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            with contextlib.suppress(Exception):  # whatever this driver raises, it was asked to stop
                raw = session.connection.driver_connection
                stop = getattr(raw, "cancel", None) or getattr(raw, "interrupt", None)
                if stop is not None:
                    stop()

    def open(self, *, reading: bool = True) -> Any:
        """A connection of its own, in a transaction from its first statement on."""
        try:
            session = self.engine.connect()
            if self.family in _EXACT:
                session.exec_driver_sql(_EXACT[self.family])
                session.commit()
            if reading and self.family in _READ_ONLY:
                session.exec_driver_sql(_READ_ONLY[self.family])
                if self.family != "oracle":  # which says it of the transaction, not of the session
                    session.commit()
        # A driver raises TypeError or ValueError for an option that is none of its own.
        except (exc.SQLAlchemyError, OSError, TypeError, ValueError) as reason:
            raise self.failed("HV00N", getattr(reason, "orig", None) or reason) from None
        self._sessions.append(session)
        return session

    def closed(self, session: Any) -> None:
        with contextlib.suppress(exc.SQLAlchemyError):
            super().closed(session)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The driver's errors as ours."""
        try:
            yield
        except exc.NoSuchTableError as reason:
            raise self.missing([str(reason)]) from None
        except (ValueError, OverflowError) as reason:  # a value that Python's types cannot hold
            raise self.failed("HV004", reason, "CAST the column to text in a query.") from None
        except exc.SQLAlchemyError as reason:
            cause = getattr(reason, "orig", None) or reason
            text = str(cause)
            code = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
            if not code:
                code = "23000" if isinstance(reason, exc.IntegrityError) else "HV000"
                if "readonly" in text or "read-only" in text or "query_only" in text:
                    code = "25006"
                elif "interrupted" in text or "cancel" in text.lower():
                    code = "57014"
            raise self.failed(code, text) from None


class AlchemyReader(SqlReader):
    """One transaction that is rolled back."""

    consistent = False

    def __init__(self, connector: AlchemyConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return [tuple(row) for row in self.session.exec_driver_sql(escaped(self.session, text))]

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        if source.path:
            with self.connector.errors():
                found = remote_table(self.session, source.path, self.item)
            if found is None:
                raise self.connector.missing(source.path)
            return found.spec.columns
        with self.connector.errors():
            text = f"SELECT * FROM {relation(self.item, source)}"
            result = self._run(text, 4096)
            seen = Seen(list(result.keys()), alchemy_forms.told_types(result, self.item))
            for rows in result.partitions():
                seen.add(rows)
        return seen.columns()

    def read(
        self,
        source: Source,
        columns: Sequence[ReadColumn] | None = None,
        *,
        where: Sequence[Predicate] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
        **sizes: int,
    ) -> Iterator[pa.RecordBatch]:
        """As every reader; a limit is counted here, because not every engine has LIMIT."""
        found = super().read(source, columns, where=where, order_by=order_by, **sizes)
        return found if limit is None else _first(found, limit)

    def projection(self, column: ReadColumn) -> str:
        name = quoted(column.name, self.item)
        return f"{column.expression or alchemy_forms.asked(name, column.type, self.item)} AS {name}"

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        with self.connector.errors():
            result = self._run(text, min(rows, 16_384))
            try:
                for part in result.partitions():
                    arrays = [
                        from_values(values, column.type, column.name)
                        for column, values in zip(columns, zip(*part, strict=True), strict=True)
                    ]
                    whole = pa.record_batch(arrays, names=[column.name for column in columns])
                    step = max(1, min(rows, size * len(whole) // max(whole.nbytes, 1)))
                    for start in range(0, len(whole), step):
                        yield whole.slice(start, step)
            finally:
                result.close()

    def close(self) -> None:
        self.connector.closed(self.session)

    def _run(self, text: str, rows: int) -> Any:
        options = {"stream_results": True, "yield_per": rows}
        # For this statement only: set on the connection, DDL would go through a cursor too.
        return self.session.exec_driver_sql(escaped(self.session, text), execution_options=options)


def escaped(session: Any, text: str) -> str:
    """A text for the driver: those that take ``%s`` want other percent signs doubled."""
    return text.replace("%", "%%") if session.dialect.paramstyle in ("format", "pyformat") else text


def _first(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if limit <= 0:
            return
        yield batch.slice(0, limit)
        limit -= len(batch)
