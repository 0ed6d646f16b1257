"""Queues between the stages of a transfer, bounded by the bytes they hold.

Rules:

1. A queue takes one item more while it is below its limit, and the one before it waits. So a slow stage holds
   back the faster ones, and an item larger than the limit still passes.
2. ``stop`` may come from any thread and wakes everybody at once; what is in the queue is dropped.
3. A ``Sender`` does one stage's work on a thread of its own, in order. Its error is raised where the work is
   handed over, or at the end.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

QUEUE_BYTES = 16 << 20


class Stopped(Exception):
    """The queue was stopped from outside."""


class ByteQueue:
    """First in, first out, bounded by the bytes it holds."""

    def __init__(self, limit: int = QUEUE_BYTES) -> None:
        self._limit = limit
        self._items: deque[tuple[Any, int]] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._stopped = False
        self.peak = 0

    def put(self, item: Any, size: int) -> None:
        """Waits while the queue is full; raises ``Stopped`` once it is stopped."""
        with self._changed:
            while self._items and self._held + size > self._limit and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise Stopped
            self._items.append((item, size))
            self._held += size
            self.peak = max(self.peak, self._held)
            self._changed.notify_all()

    def get(self) -> Any:
        """Waits for the next item; raises ``Stopped`` once the queue is stopped."""
        with self._changed:
            while not self._items and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise Stopped
            item, size = self._items.popleft()
            self._held -= size
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Wakes everybody; what is in the queue is dropped."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._held = 0
            self._changed.notify_all()


class Sender:
    """Calls ``send`` with each of the byte strings it is given, on a thread of its own; a context manager.

    Leaving it waits until all are sent; leaving it by an exception drops what waits.
    """

    def __init__(self, send: Callable[[bytes], object], limit: int = QUEUE_BYTES) -> None:
        self._send = send
        self._queue = ByteQueue(limit)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._sending, name="transfer-sender", daemon=True)

    def put(self, data: bytes) -> None:
        """Hands over; waits while too much is waiting, raises what ``send`` raised."""
        try:
            self._queue.put(data, len(data))
        except Stopped:
            if self._error is None:
                raise
            raise self._error from None

    def _sending(self) -> None:
        try:
            while (data := self._queue.get()) is not None:
                self._send(data)
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
            self._queue.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            self._queue.stop()
        else:
            with contextlib.suppress(Stopped):  # its error is raised below
                self._queue.put(None, 0)
        self._thread.join()
        if value is None and self._error is not None:
            raise self._error
