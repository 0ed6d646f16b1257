"""Queues between the stages of a transfer, bounded by the bytes they hold.

Rules:

1. A queue takes one item more while it is below its limit, and the one before it waits. So a slow stage holds
   back the faster ones, and an item larger than the limit still passes.
2. ``stop`` may come from any thread and wakes everybody at once; what is in the queue is dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

QUEUE_BYTES = 5 << 20


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
