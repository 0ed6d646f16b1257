"""How rows get into BigQuery: by load jobs into a staging table, and from there by a copy job."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from google.cloud import bigquery

from migration.connectors.base import Path, Published, WriteResult
from migration.connectors.bigquery_load import schema_of, written
from migration.connectors.fitting import fit_batch
from migration.connectors.merging import MergingWriter
from migration.connectors.queries import quoted
from migration.errors import MigrationError
from migration.model import ColumnSpec

if TYPE_CHECKING:
    from migration.connectors.bigquery import BigqueryConnector


class BigqueryWriter(MergingWriter):
    """A session that writes; each statement and each load stands for itself."""

    transactions = False
    connector: BigqueryConnector

    def restored(self, mark: str, column: ColumnSpec) -> str:
        return f"CAST({mark} AS {column.declared})"  # rows never go by INSERT; see write

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            job = self.connector.started(self.session, statement)
            with self.connector.waiting(self.session, job):
                job.result(job_retry=None)
        touched = job.num_dml_affected_rows
        return None if touched is None else int(touched)

    def fetch(self, query: str) -> pa.Table:
        return self.connector.reading(self.session).fetch(query)

    def staging(self, target: Path, job: str) -> Path:
        _, dataset, table = self.connector.located(target)
        return super().staging((*target[:-2], dataset, table), job)

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            found = self.connector._listed(self.session, schema)
        return [(row[0], row[1]) for row in found if row[2] == "table"]

    own = frozenset({"keys", "default"})

    def dependants(self, path: Path) -> tuple[str, ...]:
        with self.connector.errors():
            table = self.connector.found(self.session, path)
        if table is None:
            return ()
        held = {
            "keys": table.table_constraints is not None,
            "default": any(field.default_value_expression for field in table.schema),
            "description": bool(table.description) or any(field.description for field in table.schema),
            "labels": bool(table.labels),
            "expiration": table.expires is not None,
        }
        return tuple(what for what, there in held.items() if there)

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        given = iter(batches)
        first = next(given, None)
        if first is None:
            return WriteResult(0, 0, "load job")
        fits = self._fits(first.schema, path)
        columns = [item.column for item in fits]
        with tempfile.TemporaryFile(prefix="bough-") as file:
            ready = (fit_batch(batch, fits) for batch in itertools.chain((first,), given))
            form, sent = written(columns, ready, file)
            size = file.tell()
            rows = self._loaded(path, [column.name for column in columns], form, file, size)
        if rows != sent:
            raise MigrationError("HV004", f"the service took {rows} rows of {sent}", hint="EXPLAIN TRANSFER.")
        return WriteResult(rows, size, f"load job ({form})")

    def _loaded(self, path: Path, names: Sequence[str], form: str, file: Any, size: int) -> int:
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        with self.connector.errors():
            table = self.connector.found(self.session, path)
            config = bigquery.LoadJobConfig(
                source_format="PARQUET" if form == "Parquet" else "NEWLINE_DELIMITED_JSON",
                write_disposition="WRITE_APPEND",
                create_disposition="CREATE_NEVER",
                schema=schema_of(table.schema if table is not None else (), names)
                if table is not None
                else None,
            )
            if form == "Parquet":
                config.parquet_options = parquet
            job = self.session.client.load_table_from_file(
                file, self.connector.reference(self.session, path), rewind=True, size=size, job_config=config
            )
            with self.connector.waiting(self.session, job):
                job.result()
        return int(job.output_rows)

    def create_like(self, staging: Path, target: Path) -> None:
        self.execute(f"CREATE TABLE {self.q(staging)} LIKE {self.q(target)}")

    def _replace(self, staging: Path, target: Path, key: tuple[str, ...]) -> Published:
        held = self.dependants(target)
        if not held:
            return self.swap(staging, target)
        names = ", ".join(quoted(name, self.item) for name in self._moved(staging))
        table = self.q(target)
        self.execute(
            f"BEGIN TRANSACTION; TRUNCATE TABLE {table}; "
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {self.q(staging)}; COMMIT TRANSACTION;"
        )
        notes = (f"kept because of: {', '.join(held)}",)
        return Published("TRUNCATE + INSERT", atomic=True, rows=self.count(target), notes=notes)

    def swap(self, staging: Path, target: Path) -> Published:
        connector = self.connector
        with connector.errors():
            job = self.session.client.copy_table(
                connector.reference(self.session, staging),
                connector.reference(self.session, target),
                job_config=bigquery.CopyJobConfig(
                    write_disposition="WRITE_TRUNCATE", create_disposition="CREATE_NEVER"
                ),
                retry=connector.retry(),
            )
            with connector.waiting(self.session, job):
                job.result()
        return Published("copy job", atomic=True)

    def begin(self) -> None:
        raise MigrationError("0A000", "BigQuery has no transactions over several requests here")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Each statement stands for itself."""
        yield
