"""BigQuery, through google-cloud-bigquery.

Rules:

1. Tables are described by the API and queries by a dry run, which costs nothing and runs nothing.
2. Rows are read as the pages of a query's result, in Arrow. There is no snapshot over several queries.
3. Rows go in by one load job from a file for each call of ``write``: all or nothing.
4. ``replace`` is a copy job that overwrites: atomic, and nothing is scanned. A table with keys, defaults or
   descriptions keeps them: its rows are replaced by a script in one transaction. ``upsert`` is one MERGE.
5. There are no transactions over several requests; a dry run is the service's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import google.api_core.exceptions as api
import google.auth.credentials
import google.auth.exceptions
import pyarrow as pa
import requests.exceptions
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from migration.connectors.arrow import arrow_type
from migration.connectors.base import (
    Executed,
    Path,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    TableKind,
)
from migration.connectors.bigquery_catalog import Session, column, credentials_of, keys_of
from migration.connectors.bigquery_load import to_canonical
from migration.connectors.bigquery_writer import BigqueryWriter
from migration.connectors.convert import unfit
from migration.connectors.dbapi import DbapiConnector, DbapiReader
from migration.connectors.queries import quoted, relation
from migration.connectors.repeated import REPEATED
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.statements import check_statement
from migration.types import CanonicalType

_CODES = {
    "notFound": "HV00R",
    "duplicate": "42P07",
    "invalidQuery": "42601",
    "accessDenied": "42501",
    "stopped": "57014",
    "timeout": "57014",
}
_KINDS: dict[str, TableKind] = {
    "VIEW": "view",
    "MATERIALIZED_VIEW": "materialized view",
    "EXTERNAL": "foreign table",
}


def connect(datasource: Datasource, options: dict[str, str]) -> BigqueryConnector:
    """Opens nothing yet."""
    return BigqueryConnector(datasource, options)


class BigqueryConnector(DbapiConnector):
    """One project, with a dataset that is looked in first."""

    failures = (
        api.GoogleAPIError,
        google.auth.exceptions.GoogleAuthError,
        requests.exceptions.RequestException,
    )

    def version(self) -> str:
        """That of the API: the service has none."""
        with self.session() as session:
            list(session.client.list_datasets(self.project, max_results=1, retry=self.retry()))
        return "2"

    @property
    def project(self) -> str:
        """Whose tables they are; the credentials' own where none is named."""
        return next(
            (self.options[name] for name in ("project", "catalog", "host") if name in self.options), ""
        )

    def databases(self) -> list[str]:
        with self.session() as session:
            return sorted(item.project_id for item in session.client.list_projects(retry=self.retry()))

    def schemas(self) -> list[str]:
        with self.session() as session:
            found = session.client.list_datasets(self.project or None, retry=self.retry())
            return sorted(item.dataset_id for item in found)

    def definition(self, path: Path) -> str | None:
        project, dataset, table = self.located(path)
        home = quoted(f"{project}.{dataset}", self.item) if project else quoted(dataset, self.item)
        name = table.replace("\\", "\\\\").replace("'", "\\'")
        found = self.ask(f"SELECT ddl FROM {home}.INFORMATION_SCHEMA.TABLES WHERE table_name = '{name}'")
        if not found:
            raise self.missing(path)
        return str(found[0][0])

    def reader(self, snapshot: str | None = None) -> DbapiReader:
        return BigqueryReader(self, self.open())

    def writer(self) -> BigqueryWriter:
        self.refuse_writing()
        return BigqueryWriter(self, self.open())

    def reading(self, session: Session) -> BigqueryReader:
        """A reader on a session that is open."""
        return BigqueryReader(self, session)

    def execute(
        self, statement: str, *, dry_run: bool = False, rows_between: tuple[int, int] | None = None
    ) -> Executed:
        if not dry_run or rows_between is not None:
            return super().execute(statement, dry_run=dry_run, rows_between=rows_between)
        self.refuse_writing()
        kind = check_statement(statement, self.dialect)
        with self.session() as session:
            self.started(session, statement, dry_run=True)
        return Executed(None, kind.upper(), committed=False)

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            for job in tuple(session.jobs):
                with contextlib.suppress(*self.failures):  # it may just have ended
                    job.cancel(retry=None, timeout=5)

    def driver(self) -> Any:
        options = self.options
        client = bigquery.Client(
            project=options.get("billing_project_id") or self.project or None,
            credentials=credentials_of(options),
            location=options.get("location"),
            client_options={"api_endpoint": options["api_endpoint"]} if "api_endpoint" in options else None,
        )
        return Session(client)

    def code(self, reason: BaseException) -> str:
        if isinstance(reason, google.auth.exceptions.GoogleAuthError | requests.exceptions.RequestException):
            return "HV00N"
        if isinstance(reason, api.RetryError):
            return "HV00N"
        errors = getattr(reason, "errors", None) or [{}]
        if str(errors[0].get("message")).startswith(
            "Duplicate column name"
        ):  # which no result may have there
            return REPEATED
        return _CODES.get(str(errors[0].get("reason")), "HV000")

    def retry(self) -> Any:
        """How long a request that fails for a moment is repeated."""
        return DEFAULT_RETRY.with_timeout(max(1.0, self.datasource.connect_timeout))

    def located(self, path: Path) -> tuple[str, str, str]:
        """Project ("" for the client's own), dataset and table of a path."""
        dataset = (
            path[-2] if len(path) > 1 else self.options.get("schema") or self.options.get("database", "")
        )
        if not dataset:
            raise MigrationError(
                "3F000",
                f'"{path[-1]}" is in no dataset',
                hint=f"Name it: {self.name}.dataset.{path[-1]}, or give the datasource the option dataset.",
            )
        return (path[-3] if len(path) > 2 else self.project), dataset, path[-1]

    def reference(self, session: Session, path: Path) -> Any:
        """A path as the client names it."""
        project, dataset, table = self.located(path)
        return bigquery.DatasetReference(project or session.client.project, dataset).table(table)

    def started(self, session: Session, text: str, *, dry_run: bool = False) -> Any:
        """A query that has been sent. A dry run is over when it has."""
        home = self.options.get("schema") or self.options.get("database")
        config = bigquery.QueryJobConfig(dry_run=dry_run, use_query_cache=not dry_run)
        if home:
            config.default_dataset = f"{self.project or session.client.project}.{home}"
        if self.datasource.statement_timeout:
            config.job_timeout_ms = max(1, round(self.datasource.statement_timeout * 1000))
        return session.client.query(text, config, retry=self.retry(), job_retry=None)

    @contextmanager
    def waiting(self, session: Session, job: Any) -> Iterator[Any]:
        """A job that ``interrupt`` finds."""
        session.jobs.append(job)
        try:
            yield job
        finally:
            session.jobs.remove(job)

    def rows(self, session: Any, text: str) -> list[tuple[Any, ...]]:
        with self.waiting(session, self.started(session, text)) as job:
            return [tuple(row.values()) for row in job.result(job_retry=None)]

    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        return tuple(column(field) for field in cursor.schema or ())

    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        found = self.found(session, path)
        return () if found is None else tuple(column(field) for field in found.schema)

    def found(self, session: Session, path: Path) -> Any:
        """What the API says of a table; None if there is none."""
        try:
            return session.client.get_table(self.reference(session, path), retry=self.retry())
        except api.NotFound:
            return None

    def table(self, session: Any, path: Path) -> RemoteTable | None:
        found = self.found(session, path)
        if found is None:
            return None
        _, dataset, table = self.located(path)
        spec = TableSpec(
            (dataset, table),
            tuple(column(field) for field in found.schema),
            keys_of(found),
            found.description,
            self.dialect,
        )
        kind = _KINDS.get(found.table_type, "table")
        return RemoteTable(spec, kind, found.num_rows if kind == "table" else None)

    def delivered(self, expression: str, type_: CanonicalType) -> str:
        if type_.kind in ("json", "struct", "map"):
            return f"TO_JSON_STRING({expression})"
        if type_.kind == "interval":
            return f"CAST({expression} AS STRING)"
        if type_.kind == "list" and type_.element is not None and type_.element.kind in ("json", "struct"):
            return (
                f"ARRAY(SELECT TO_JSON_STRING(e) FROM UNNEST({expression}) AS e WITH OFFSET AS n ORDER BY n)"
            )
        return expression

    def _listed(self, session: Any, schema: str | None) -> list[tuple[Any, ...]]:
        named = schema or self.options.get("schema") or self.options.get("database")
        datasets = (
            [named] if named else [item.dataset_id for item in session.client.list_datasets(self.project)]
        )
        found = []
        for dataset in datasets:
            home = bigquery.DatasetReference(self.project or session.client.project, dataset)
            for item in session.client.list_tables(home, retry=self.retry()):
                found.append((dataset, item.table_id, _KINDS.get(item.table_type, "table")))
        return sorted(found)

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            return [TableEntry(*row) for row in self._listed(session, schema)]


class BigqueryReader(DbapiReader):
    """A session that reads."""

    connector: BigqueryConnector

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        if source.path:
            return super().describe(source)
        self.check(source)
        with self.connector.errors():
            text = f"SELECT * FROM {relation(self.item, source)}"
            return self.connector.columns_of_query(self.connector.started(self.session, text, dry_run=True))

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        names = [column.name for column in columns]
        with self.connector.errors():
            job = self.connector.started(self.session, text)
            with self.connector.waiting(self.session, job):
                for batch in job.result(page_size=rows, job_retry=None).to_arrow_iterable():
                    if not batch.num_rows:
                        continue
                    arrays = [
                        to_canonical(array, arrow_type(column.type), _refusal(column))
                        for array, column in zip(batch.columns, columns, strict=True)
                    ]
                    ready = pa.record_batch(arrays, names=names)
                    step = max(1, min(rows, size * ready.num_rows // max(ready.nbytes, 1)))
                    for start in range(0, ready.num_rows, step):
                        yield ready.slice(start, step)


def _refusal(column: ReadColumn) -> Callable[[str], MigrationError]:
    return lambda reason: unfit(column.name, column.type, reason)
