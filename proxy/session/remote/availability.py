"""SHOW DATASOURCES: every datasource is asked at the same time, and nobody waits long for one that does not answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from typing import TYPE_CHECKING

from branching.errors import BoughError
from migration.connectors.base import Connector
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError

if TYPE_CHECKING:
    from proxy.session.remote.state import RemoteState

SECONDS = 10.0  # how long all of them together may take
_AT_ONCE = 16
_LOOK = 0.1  # seconds between two looks at ``stop``


def ask(
    state: RemoteState, items: list[Datasource], stop: threading.Event, seconds: float = SECONDS
) -> list[str | None]:
    """For each datasource None if it answers, else why not."""
    if not items:
        return []
    open_: dict[str, Connector] = {}
    pool = ThreadPoolExecutor(min(len(items), _AT_ONCE), thread_name_prefix="availability")
    try:
        asked = [pool.submit(_ask, state, item.name, open_) for item in items]
        waiting: set[Future[str | None]] = set(asked)
        end = time.monotonic() + seconds
        while waiting and time.monotonic() < end:
            if stop.is_set():
                raise BoughError("57014", "canceling statement due to user request")
            waiting = wait_for(waiting, timeout=min(_LOOK, max(end - time.monotonic(), 0))).not_done
        return [
            f"no answer within {seconds:g} s" if future in waiting else future.result() for future in asked
        ]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for connector in list(open_.values()):  # those that are still asked end soon, on their own threads
            with suppress(MigrationError):
                connector.interrupt()


def _ask(state: RemoteState, name: str, open_: dict[str, Connector]) -> str | None:
    try:
        connector = open_[name] = state.connector(name)
        try:
            connector.test()
        finally:
            open_.pop(name, None)
            connector.close()
    except (MigrationError, BoughError) as reason:
        # What went wrong, not only that it did: the driver's first line.
        why = (reason.detail or "").strip().partition("\n")[0]
        return f"{reason.message}: {why}" if why else reason.message
    except Exception as reason:  # a driver's own mistake is its datasource's, and hides no other datasource
        return f'cannot connect to datasource "{name}": {type(reason).__name__}'
    return None
