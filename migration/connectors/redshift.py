"""Amazon Redshift, through psycopg and S3.

Rules:

1. Redshift speaks PostgreSQL's protocol and is no PostgreSQL: no COPY to or from the client, no exported snapshot,
   PostgreSQL 8.0's catalog. What is sent here is what its documentation lists; values travel as text.
2. A reader is one transaction (a snapshot: every isolation level there is serializable) and reads by a cursor. A
   cluster of one node gives at most 1,000 rows at once.
3. Rows go in as objects in S3 below a prefix of their own, named in a manifest, by one COPY into the staging table. The
   objects are gone when ``write`` returns or raises; those of a process that was killed go with its staging table.
4. ``replace`` renames two tables in one transaction. TRUNCATE commits there, so where a table has to stay its rows are
   deleted.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from migration.connectors import libpq
from migration.connectors import redshift_catalog as catalog
from migration.connectors.base import Path, ReadColumn, RemoteTable, Source, TableEntry, WriteResult
from migration.connectors.convert import from_texts
from migration.connectors.dbapi import DbapiConnector, DbapiReader, DbapiWriter
from migration.connectors.fitting import fit_batch
from migration.connectors.queries import quoted, renamed
from migration.connectors.redshift_load import Form, form_of, manifest, objects
from migration.connectors.s3_objects import S3Objects
from migration.connectors.staged_names import is_staging
from migration.datasources.datasource import Datasource
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.types import CanonicalType

_FETCHED = 1000  # rows: more are refused by a cluster of one node
_SETTINGS = {
    "timezone": "'UTC'",
    "datestyle": "'ISO, YMD'",
    "extra_float_digits": "2",
    "enable_case_sensitive_identifier": "true",  # else names in quotes are folded too
}
_KINDS = {"r": "table", "v": "view", "m": "materialized view"}


def connect(datasource: Datasource, options: dict[str, str]) -> RedshiftConnector:
    """Opens nothing yet."""
    return RedshiftConnector(datasource, options)


class RedshiftConnector(DbapiConnector):
    """One database of a cluster or workgroup."""

    failures = (psycopg.Error,)

    def version(self) -> str:
        text = str(self.ask("SELECT version()")[0][0])
        return text.rpartition("Redshift ")[2].split(" ")[0].rstrip(",")

    def databases(self) -> list[str]:
        found = self.ask("SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY 1")
        return [name for (name,) in found if name not in ("template0", "template1", "padb_harvest")]

    def schemas(self) -> list[str]:
        found = self.ask(
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' "
            "AND nspname NOT IN ('information_schema', 'catalog_history') ORDER BY 1"
        )
        return [name for (name,) in found]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            found = catalog.listed(lambda text: self.rows(session, text), schema)
        return [
            TableEntry(row[0], row[1], _KINDS[row[2]], int(row[3]) if row[2] == "r" and row[3] > 0 else None)  # type: ignore[arg-type]
            for row in found
        ]

    def table(self, session: Any, path: Path) -> RemoteTable | None:
        def rows(text: str) -> list[tuple[Any, ...]]:
            return self.rows(session, text)

        oid = catalog.oid_of(rows, path)
        if oid is None:
            return None
        schema, kind, count, comment = rows(
            "SELECT n.nspname, c.relkind, c.reltuples, pg_catalog.obj_description(c.oid) FROM pg_catalog.pg_class c "
            f"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}"
        )[0]
        spec = TableSpec(
            (schema, path[-1]),
            catalog.columns_of(rows, oid),
            catalog.keys_of(rows, oid),
            comment,
            self.dialect,
        )
        number = int(float(count))
        return RemoteTable(spec, _KINDS[kind], number if kind == "r" and number > 0 else None)  # type: ignore[arg-type]

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        def rows(text: str) -> list[tuple[Any, ...]]:
            return self.rows(session, text)

        oid = catalog.oid_of(rows, path)
        return () if oid is None else catalog.columns_of(rows, oid)

    def definition(self, path: Path) -> str | None:
        """A view's text, every name in full; tables have none."""
        with self.session() as session:
            return catalog.view_text(lambda text: self.rows(session, text), path)

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        result = cursor.pgresult
        fields = range(result.nfields)
        types = catalog.types_of(
            lambda text: self.rows(cursor.connection, text),
            [(result.ftype(index), result.fmod(index)) for index in fields],
        )
        return tuple(
            ColumnSpec((result.fname(index) or b"").decode(), parse_type(type_, "redshift"), declared=type_)
            for index, type_ in zip(fields, types, strict=True)
        )

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        if type_.kind == "bytes":
            return f"TO_HEX({expression})"
        if type_.kind == "float32":
            return f"CAST({expression} AS DOUBLE PRECISION)"  # of a REAL's nine digits its text has eight
        return expression

    def arrived(self, values: Sequence[Any], column: ReadColumn) -> pa.Array:
        return from_texts(pa.array(values, pa.string()), column.type, column.name)

    def run(self, session: Any, text: str, values: Sequence[Any] = ()) -> Any:
        assert not values  # nothing is bound: see driver
        return session.execute(text.encode())

    def reader(self, snapshot: str | None = None) -> RedshiftReader:
        session = self.open()
        with self.errors():
            session.execute("BEGIN READ ONLY")
        return RedshiftReader(self, session)

    def writer(self) -> RedshiftWriter:
        self.refuse_writing()
        return RedshiftWriter(self, self.open())

    def stop_sessions(self) -> None:
        libpq.cancelled(self._sessions)

    def cut(self, session: Any) -> None:
        libpq.cut(session)

    def driver(self) -> Any:
        """A session that gives every value as text and binds none: nothing depends on the driver's types."""
        options = self.options
        session = libpq.opened(self.datasource, options, {"port": "5439"}, prepare_threshold=None)
        adapters = session.adapters
        for loader in (
            {info.oid for info in adapters.types} | {info.array_oid for info in adapters.types} | {0}
        ):
            adapters.register_loader(loader, TextLoader)
        settings = dict(_SETTINGS)
        settings["statement_timeout"] = str(round(self.datasource.statement_timeout * 1000))
        if "schema" in options:
            settings["search_path"] = quoted(options["schema"], self.item)
        session.execute("; ".join(f"SET {name} TO {value}" for name, value in settings.items()).encode())
        return session

    def code(self, reason: BaseException) -> str:
        return libpq.code_of(reason)

    def objects(self) -> S3Objects:
        """The place in S3; 0A000 where the datasource names none."""
        if "s3_staging" not in self.options:
            raise MigrationError(
                "0A000",
                f'datasource "{self.name}" names no place in S3, and Redshift loads rows from there alone',
                detail="Reading, EXECUTE ON and the contract do not need it.",
                hint="CREATE DATASOURCE ... OPTIONS (..., s3_staging 's3://bucket/prefix', iam_role 'arn:...').",
            )
        return S3Objects(self.options, self.failed)

    def authorization(self) -> str:
        """What COPY is told about who may read the objects."""
        options = self.options
        if "iam_role" in options:
            role = options["iam_role"]
            clause = "IAM_ROLE default" if role.lower() == "default" else f"IAM_ROLE {catalog.text(role)}"
        elif "access_key" in options and "secret_key" in options:
            clause = (
                f"ACCESS_KEY_ID {catalog.text(options['access_key'])} "
                f"SECRET_ACCESS_KEY {catalog.text(options['secret_key'])}"
            )
            if "session_token" in options:
                clause += f" SESSION_TOKEN {catalog.text(options['session_token'])}"
        else:
            raise MigrationError(
                "HV00J",
                f"datasource {self.name}: Redshift needs a role or keys to read its objects in S3",
                hint="Give iam_role ('default' is the cluster's own), or access_key and secret_key.",
            )
        region = options.get("s3_region")
        return f"{clause} REGION AS {catalog.text(region)}" if region else clause


class RedshiftReader(DbapiReader):
    """One transaction."""

    consistent = True

    def renamed(self, source: Source, names: Sequence[str]) -> str:
        """A query with its columns under other names."""
        return renamed(self.item, source, names)

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        with self.connector.errors():
            self.session.execute(f"DECLARE bough_rows CURSOR FOR {text}".encode())
            try:
                wanted = min(rows, _FETCHED)
                while found := self.connector.rows(self.session, f"FETCH FORWARD {wanted} FROM bough_rows"):
                    batch = _batch(self.connector, found, columns)
                    yield batch
                    wanted = max(1, min(rows, _FETCHED, size * len(found) // max(batch.nbytes, 1)))
            finally:
                with contextlib.suppress(psycopg.Error):  # an error has ended the transaction with it
                    self.session.execute("CLOSE bough_rows")


class _Uncommitted(DbapiReader):
    """Small results on a writer's session, whatever its transaction."""

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        with self.connector.errors():
            found = self.connector.rows(self.session, text)
        if found:
            yield _batch(self.connector, found, columns)


class RedshiftWriter(DbapiWriter):
    """One session that writes."""

    transactional_ddl = True
    connector: RedshiftConnector

    def restored(self, mark: str, column: ColumnSpec) -> str:
        return f"CAST({mark} AS {column.declared})"  # rows never go by INSERT; see write

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.connector.rows(self.session, text)

    def fetch(self, query: str) -> pa.Table:
        return _Uncommitted(self.connector, self.session).fetch(query)

    def names(self, schema: str | None) -> list[Path]:
        found = catalog.listed(self.rows, schema)
        return [(row[0], row[1]) for row in found if row[2] == "r"]

    def dependants(self, path: Path) -> tuple[str, ...]:
        oid = catalog.oid_of(self.rows, path)
        return () if oid is None else catalog.attachments(self.rows, oid)

    def create_like(self, staging: Path, target: Path) -> None:
        # LIKE takes distribution and sort keys along, but no primary, unique or foreign key.
        self.execute(f"CREATE TABLE {self.q(staging)} (LIKE {self.q(target)} INCLUDING DEFAULTS)")
        oid = catalog.oid_of(self.rows, target)
        for key in catalog.key_texts(self.rows, oid) if oid else ():
            self.execute(f"ALTER TABLE {self.q(staging)} ADD {key}")

    def check(self, path: Path, schema: pa.Schema) -> None:
        if "s3_staging" in self.connector.options:
            self.connector.authorization()
        self.connector.objects()
        super().check(path, schema)

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        name = quoted(target[-1], self.item)  # its UPDATE gives the table no other name
        sets = ", ".join(f"{quoted(each, self.item)} = s.{quoted(each, self.item)}" for each in rest)
        statement = f"UPDATE {self.q(target)} SET {sets} FROM {self.q(staging)} AS s WHERE {self.match(name, 's', key)}"
        return self.execute(statement) or 0

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        given = iter(batches)
        first = next(given, None)
        if first is None:
            return WriteResult(0, 0, "COPY FROM S3")
        fits = self._fits(first.schema, path)
        null = f"null_{secrets.token_hex(8)}"
        form = form_of([item.column for item in fits], self.describe(path), null, self.item)
        store = self.connector.objects()
        prefix = store.prefix(*self._place(path), secrets.token_hex(8))
        sent: list[tuple[str, int]] = []
        size = 0
        with _cleared(store, prefix):
            ready = (fit_batch(batch, fits) for batch in itertools.chain((first,), given))
            for number, group in enumerate(objects(ready)):
                data, key = form.encode(group), f"{prefix}{number:05}.{form.suffix}"
                store.put(key, data)
                sent.append((store.url(key), len(data)))
                size += len(data)
            listing = f"{prefix}manifest"
            store.put(listing, manifest(sent))
            rows = self._copied(path, [item.column.name for item in fits], store.url(listing), form)
        return WriteResult(rows, size, f"COPY FROM S3 ({form.name})")

    def _copied(self, path: Path, names: Sequence[str], url: str, form: Form) -> int:
        """Loads what a manifest lists; the rows it took."""
        columns = f" ({', '.join(quoted(name, self.item) for name in names)})" if form.columns else ""
        try:
            self.execute(
                f"COPY {self.q(path)}{columns} FROM {catalog.text(url)} {self.connector.authorization()} "
                f"MANIFEST {form.clause}"
            )
        except MigrationError as error:
            error.hint = error.hint or (
                "SELECT * FROM sys_load_error_detail ORDER BY start_time DESC LIMIT 10 on Redshift says which value."
            )
            raise
        return int(self.rows("SELECT pg_last_copy_count()")[0][0])

    def drop(self, path: Path) -> None:
        super().drop(path)
        if is_staging(path) and "s3_staging" in self.connector.options:
            store = self.connector.objects()
            store.clear(store.prefix(*self._place(path)))

    def _place(self, path: Path) -> tuple[str, ...]:
        """Where the objects of a table lie, in the words of its name that every tool takes in a key."""
        return ("bough", *(part.replace("/", "_") for part in path[-2:]))


@contextmanager
def _cleared(store: S3Objects, prefix: str) -> Iterator[None]:
    """Nothing is left below a prefix afterwards; what went wrong before matters more than what goes wrong then."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(MigrationError):
            store.clear(prefix)
        raise
    store.clear(prefix)


def _batch(connector: DbapiConnector, rows: Sequence[Any], columns: Sequence[ReadColumn]) -> pa.RecordBatch:
    arrays = [
        connector.arrived(values, column)
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return pa.record_batch(arrays, names=[column.name for column in columns])
