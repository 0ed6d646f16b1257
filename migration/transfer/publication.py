"""The step that shows the rows: a transfer's last, and what is known of it once it broke off.

Rules:

1. Where a target can say afterwards whether it has the rows, a cancel is obeyed until it has: it may wait for a lock
   that somebody holds for hours. Its statements are asked to stop, its connections are not cut: after a COMMIT
   without an answer nobody knows.
2. A cancel that comes when the rows are shown already is too late, and so is the end of the connection that showed
   them. The transfer is done, and what that session has left behind is taken away.
3. A target that can say nothing afterwards is not interrupted.
"""

from __future__ import annotations

import contextlib
from typing import cast

from migration.connectors.base import Mode, Path, Published, Writer
from migration.connectors.stopping import hurried
from migration.errors import MigrationError
from migration.transfer.monitor import Monitor
from migration.transfer.plan import TransferPlan
from migration.transfer.settling import clear


def publish(item: TransferPlan, writer: Writer, staging: Path, rows: int, monitor: Monitor) -> Published:
    """Shows the ``rows`` of ``staging`` under the target's name; 57014 where somebody wanted it to stop in time, HV00N
    where the connection was lost before."""
    monitor.ask_only()
    if not writer.transactions:
        monitor.disarm()
    try:
        return writer.publish(staging, item.request.target, cast(Mode, item.write_mode), item.request.key)
    except MigrationError as error:
        monitor.disarm()
        lost = error.sqlstate == "HV00N"
        if not ((monitor.is_cancelled or lost) and has_taken(item, staging, rows, lost=lost)):
            raise
        late = "whose connection was lost behind it" if lost else "that a cancel came too late for"
        return Published(f"a transaction {late}", atomic=True, notes=_tidied(item, staging))
    finally:
        monitor.disarm()


def has_taken(item: TransferPlan, staging: Path, rows: int, *, lost: bool = False) -> bool | None:
    """Whether publishing has taken staging; None while the target cannot be asked, or cannot tell and it matters:
    rows that were added would be added again. ``lost``: a session without a client may still be publishing there."""
    limit = hurried(item.target) if lost else contextlib.nullcontext()
    try:
        with limit, item.target.writer() as writer:
            found = writer.has_published(staging, rows)
    except MigrationError:
        return None
    return found if found is not None or item.write_mode == "append" else False


def _tidied(item: TransferPlan, staging: Path) -> tuple[str, ...]:
    with contextlib.suppress(MigrationError), item.target.writer() as writer:
        clear(writer, staging)
        return ()
    return (f"what is left of {'.'.join(staging)} was not dropped",)
