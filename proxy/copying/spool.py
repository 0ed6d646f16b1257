"""Rows waiting for their INSERT: in memory while they are few, behind that in a file nobody else can open.

The file has no name, so nothing is left of it after a crash. It is read through a memory map: what a statement that is
tried again needs is there again, and memory stays as it was.
"""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from branching.errors import BoughError

IN_MEMORY = 64 * 1024 * 1024


class Spool:
    def __init__(self, schema: pa.Schema, directory: Path | None, in_memory: int = IN_MEMORY) -> None:
        self._schema = schema
        self._directory = directory
        self._limit = in_memory
        self._batches: list[pa.RecordBatch] = []
        self._size = 0
        self._file: IO[bytes] | None = None
        self._writer: Any = None
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Keeps a batch."""
        self._batches.append(batch)
        self._size += batch.nbytes
        self.rows += batch.num_rows
        if self._size > self._limit:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115  # closed by ``close``
                self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self._schema)
            for batch in self._batches:
                self._writer.write_batch(batch)
        except OSError as error:
            raise BoughError(
                "53100",
                "could not keep the rows of a COPY on disk",
                detail=error.strerror or "The disk failed.",
            ) from error
        self._batches, self._size = [], 0

    def table(self) -> pa.Table:
        """All rows, readable any number of times until ``close``."""
        if self._file is None:
            return pa.Table.from_batches(self._batches, self._schema)
        self._spill()
        self._writer.close()
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all()

    def close(self) -> None:
        """Gives everything back."""
        self._batches, self._writer = [], None
        if self._file is not None:
            self._file.close()
            self._file = None
