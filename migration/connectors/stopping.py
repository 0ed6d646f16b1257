"""Stopping engines that work for us, whether or not they listen.

Rules:

1. An engine is asked again and again (``Connector.interrupt``): what is asked between two statements stops nothing.
2. To ask takes an engine that answers. So nobody waits for it: each connector is asked on a thread of its own, and by
   one thread at a time.
3. What has not obeyed after ``PATIENCE`` is taken for gone. Its connections are cut (``abandon``), so that whoever
   waits for an answer on one has an error instead. A server whose client is gone rolls back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from migration.connectors.base import Connector
from migration.errors import MigrationError

POLL = 0.1  # seconds between two times that an engine is asked, or somebody if he wants to cancel
PATIENCE = 0.6  # seconds until an engine that was asked is taken for gone
_TO_CLEAN = 2.0  # seconds for a session that removes what was begun


class Insistence:
    """Stops what connectors do: ``again`` until it is over, then ``end``."""

    def __init__(self, connectors: Sequence[Connector]) -> None:
        self._connectors = connectors
        self._asking: dict[int, threading.Thread] = {}
        self._since: float | None = None

    def again(self, *, cuts: bool = True) -> None:
        """Asks all of them; waits for none. With ``cuts`` they are cut off once they have had their time."""
        now = time.monotonic()
        self._since = self._since or now
        for place, connector in enumerate(self._connectors):
            if cuts and now - self._since >= PATIENCE:
                connector.abandon()
            asking = self._asking.get(place)
            if asking is None or not asking.is_alive():
                self._asking[place] = thread = threading.Thread(
                    target=_ask, args=(connector,), name="transfer-stopping", daemon=True
                )
                thread.start()

    def end(self) -> None:
        """Who still asks is waited for a moment: it knows by then which sessions it means, and means no later one."""
        for thread in self._asking.values():
            thread.join(PATIENCE)


def _ask(connector: Connector) -> None:
    with contextlib.suppress(MigrationError):
        connector.interrupt()


class Watcher:
    """Looks whether somebody wants a transfer to stop, and then insists; ``stopped`` is called each time before."""

    def __init__(
        self,
        name: str,
        cancelled: Callable[[], bool] | None,
        connectors: Sequence[Connector],
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        self.wanted = False
        self.cuts = True
        self._cancelled = cancelled
        self._stopped = stopped
        self._insistence = Insistence(connectors)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    def start(self) -> None:
        """Begins to look, if there is somebody who could want it."""
        if self._cancelled is not None:
            self._thread.start()

    def end(self) -> None:
        """From here on nothing is stopped any more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
            self._insistence.end()

    def look(self) -> bool:
        """Whether somebody wants it, asked at once."""
        if not self.wanted and self._cancelled is not None and not self._over.is_set():
            self.wanted = self._cancelled()
        return self.wanted

    def _watch(self) -> None:
        while not self._over.wait(POLL):
            if self.look():
                self._stopped()
                self._insistence.again(cuts=self.cuts)


@contextmanager
def hurried(connector: Connector) -> Iterator[None]:
    """Whoever uses ``connector`` meanwhile does not wait long for a server that does not answer."""
    timer = threading.Timer(_TO_CLEAN, connector.abandon)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
