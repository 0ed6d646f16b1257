"""What became of a transfer whose process ended while it published."""

from __future__ import annotations

from migration.connectors.base import Connector
from migration.journal import Entry, Journal
from migration.transfer_model import TransferRequest


def settle(journal: Journal, entry: Entry, target: Connector) -> bool:
    """A transfer that ended while it published: True if the target has it.

    Publishing removes the staging table in the step that shows the rows, so a staging table that is still
    there means that nothing was shown; it is dropped.
    """
    with target.writer() as writer:
        published = entry.staging is None or not writer.exists(entry.staging)
        if not published and entry.staging is not None:
            writer.drop(entry.staging)
    if published:
        journal.finish(entry.id, watermark_of=TransferRequest.from_json(entry.request).watermark_key)
    else:
        journal.update(entry.id, state="failed", error="ended before it was published", staging=None)
    return published
