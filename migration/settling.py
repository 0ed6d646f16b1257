"""What became of a transfer whose process ended while it published."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from migration.connectors.base import Connector, Path, Writer
from migration.errors import MigrationError
from migration.journal import Entry, Journal
from migration.transfer_model import TransferRequest


def settle(journal: Journal, entry: Entry, target: Connector, *, give_up: bool = False) -> bool:
    """A transfer that ended while it published: True if the target has it.

    Publishing removes the staging table, or rows of it, in the step that shows the rows. What is left of it is dropped.
    Where an engine has no such step, rows that were added to others may be there or not, and nobody is to add them
    twice (55000), unless somebody gives the transfer up.
    """
    published: bool | None = True
    request = TransferRequest.from_json(entry.request)
    if entry.staging is not None:
        with target.writer() as writer:
            published = writer.has_published(entry.staging, entry.rows_done)
            adds = request.mode == "append" or (request.mode == "incremental" and not request.key)
            if published is None and adds and not give_up:
                staging = ".".join(entry.staging)
                raise MigrationError(
                    "55000",
                    f"transfer {entry.id} ended while it added rows, and {target.dialect} cannot tell if they arrived",
                    detail=f'Its {entry.rows_done} rows are in staging table "{staging}" too.',
                    hint=f"Compare them. CANCEL TRANSFER {entry.id} drops staging; a new TRANSFER adds the rows.",
                )
            clear(writer, entry.staging)
    if published:
        _count_on(target, request.target)
        journal.finish(entry.id, watermark_of=request.watermark_key)
    else:
        journal.update(entry.id, state="failed", error="ended before it was published", staging=None)
    return bool(published)


def _count_on(target: Connector, path: Path) -> None:
    """The process may have ended before generated numbers were behind those that moved (``finishing``)."""
    count_on: Callable[[Path, str], int | None] | None = getattr(target, "count_on", None)
    if count_on is None:
        return
    with contextlib.suppress(MigrationError):
        for column in target.describe(path).spec.columns:
            if column.identity:
                count_on(path, column.name)


def clear(writer: Writer, staging: Path) -> None:
    """Drops staging and whatever else publishing has left behind: an old table under another name."""
    writer.drop(staging)
    writer.cleanup(staging[-1].rpartition("_")[2], staging[-2] if len(staging) > 1 else None)
