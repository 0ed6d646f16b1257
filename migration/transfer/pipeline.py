"""Rows on their way: reader thread → queue → encoder thread → queue → the writer, who pulls.

Rules:

1. Memory is bounded by bytes, not by batches: a queue takes one batch more while it is below its limit, and the
   one before it waits. So a slow writer holds back the encoder, and the encoder the reader.
2. The writer pulls from ``batches()`` on the caller's thread. An error of any stage is raised there, and there
   only; a stage that ends early stops the others. ``start`` may come earlier, so that the first rows are there once the
   writer is ready for them.
3. ``stop`` may come from any thread. What is blocked on a queue wakes at once. ``close`` does not wait long for what is
   inside an engine: it may be long before a source gives its next row, so the source is stopped (``stopping``).
4. Batches are measured after the transform, as they leave: that is what the target must hold.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator

import pyarrow as pa

from migration.connectors.base import Connector
from migration.connectors.stopping import POLL, Insistence
from migration.measures.columns import BatchMeasure
from migration.queues import QUEUE_BYTES, ByteQueue, Stopped
from migration.values.transform import Transform


class _End:
    """The last thing in a queue; with the error that ended the stage before, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Pipeline:
    """One pass over one read. ``read`` makes the iterator; it runs on the reader's thread."""

    def __init__(
        self,
        read: Callable[[], Iterator[pa.RecordBatch]],
        transform: Transform,
        measure: BatchMeasure,
        passed: Callable[[int, int], None] = lambda rows, size: None,
        source: Connector | None = None,
        limit: int = QUEUE_BYTES,
    ) -> None:
        self._read = read
        self._transform = transform
        self._measure = measure
        self._passed = passed
        self._insistence = Insistence([source] if source is not None else [])
        self._raw = ByteQueue(limit)
        self._ready = ByteQueue(limit)
        self._started = False
        self._threads = [
            threading.Thread(target=self._reading, name="transfer-reader", daemon=True),
            threading.Thread(target=self._encoding, name="transfer-encoder", daemon=True),
        ]

    def start(self) -> None:
        """Begins to read, as far as the queues let it; ``close`` ends it."""
        self._started = True
        for thread in self._threads:
            thread.start()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """The transformed batches. Closing the iterator early stops both threads."""
        if not self._started:
            self.start()
        try:
            while True:
                item = self._ready.get()
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                batch, size = item
                yield batch
                self._passed(batch.num_rows, size)
        finally:
            self.close()

    def close(self) -> None:
        """Stops both threads and waits for their end."""
        self.stop()
        if self._started:
            for thread in self._threads:
                thread.join(POLL)
                while thread.is_alive():
                    self._insistence.again()
                    thread.join(POLL)
            self._insistence.end()

    def stop(self) -> None:
        """Ends the pass; whoever waits gets ``Stopped``."""
        self._raw.stop()
        self._ready.stop()

    def _reading(self) -> None:
        try:
            for batch in self._read():
                size = batch.nbytes  # which takes a while: it goes along with the batch
                self._raw.put((batch, size), size)
            self._raw.put(_End(), 0)
        except Stopped:
            pass
        except BaseException as error:
            self._end(self._raw, error)

    def _encoding(self) -> None:
        try:
            while True:
                item = self._raw.get()
                if isinstance(item, _End):
                    self._ready.put(item, 0)
                    return
                given, size = item
                batch = self._transform(given)
                self._measure.add(batch)
                if not self._transform.is_identity:
                    size = batch.nbytes
                self._ready.put((batch, size), size)
        except Stopped:
            pass
        except BaseException as error:
            self._end(self._ready, error)

    @staticmethod
    def _end(queue: ByteQueue, error: BaseException) -> None:
        with contextlib.suppress(Stopped):
            queue.put(_End(error), 0)
